/* The values of virtio_rng and the host's devices behind them. */

#include "virtio_rng.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE(text) .value = (text), .length = sizeof(text) - 1

const struct virtio_rng_source virtio_rng_sources[VIRTIO_RNG_VALUES] = {
    {VALUE("off")},
    {
        VALUE("random"),
        .device = "/dev/random",
        .major = 1,
        .minor = 8,
    },
    {
        VALUE("urandom"),
        .device = "/dev/urandom",
        .major = 1,
        .minor = 9,
    },
};

const struct virtio_rng_source *const virtio_rng_default =
    &virtio_rng_sources[1];

/*
 * Any of Linux's two generators will do for any of the values: hosts whose
 * /dev/random was made another name of /dev/urandom, as was once a common
 * advice, go on starting instances.
 */
static bool is_generator(const struct statx *st)
{
    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        const struct virtio_rng_source *source = &virtio_rng_sources[i];

        if (source->device && S_ISCHR(st->stx_mode) &&
            st->stx_rdev_major == source->major &&
            st->stx_rdev_minor == source->minor) {
            return true;
        }
    }
    return false;
}

enum virtio_rng_status
virtio_rng_check_device(const struct virtio_rng_source *source)
{
    struct statx st;
    enum virtio_rng_status status = VIRTIO_RNG_OK;
    int fd;

    if (!source->device) {
        return VIRTIO_RNG_OK;
    }

    /*
     * As QEMU's rng-random opens it.  What is opened is what is checked: a
     * stat() of the path could see another file than the one that follows.
     */
    do {
        fd = open(source->device,
                  O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return VIRTIO_RNG_ERRNO;
    }

    /* Unlike fstat, statx is no newer symbol than glibc 2.28. */
    if (statx(fd, "", AT_EMPTY_PATH, STATX_TYPE, &st) < 0) {
        status = VIRTIO_RNG_ERRNO;
    } else if (!is_generator(&st)) {
        status = VIRTIO_RNG_WRONG_DEVICE;
    }

    /* Nothing was written, so there is nothing to lose; errno is statx's. */
    int saved = errno;
    (void)close(fd);
    errno = saved;
    return status;
}
