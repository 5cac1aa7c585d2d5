/* The -object/-device pair, and the command line that it must fit. */

#include "cmdline.h"
#include "virtio_rng.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define STRING(macro) STRING_OF(macro)
#define STRING_OF(text) #text

/* virtio-rng, virtio-rng-pci, vhost-user-rng-pci, ... */
static bool is_rng_driver(struct cmdline_text driver)
{
    static const char *const families[] = {"virtio-rng", "vhost-user-rng"};
    char text[32];
    size_t size = cmdline_decode(driver, text, sizeof(text));

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        size_t length = strlen(families[i]);

        if (size >= length && memcmp(text, families[i], length) == 0 &&
            (size == length || text[length] == '-')) {
            return true;
        }
    }
    return false;
}

struct findings {
    bool has_rng;
    bool has_id;
};

static struct findings scan(struct cmdline cmdline, const char *id)
{
    struct findings found = {false, false};
    struct cmdline_option option;
    struct cmdline_properties at;
    struct cmdline_property property;

    while (cmdline_next(&cmdline, &option)) {
        bool is_device = strcmp(option.name, "device") == 0, is_rng = false;

        if (!is_device && strcmp(option.name, "object") != 0) {
            continue;
        }
        at = cmdline_properties(&option);
        while (cmdline_next_property(&at, &property)) {
            if (is_device && cmdline_is(property.key, "driver")) {
                is_rng = is_rng_driver(property.value);
            } else if (cmdline_is(property.key, "id")) {
                /* An id that QEMU ignores is better left alone, too. */
                found.has_id |= cmdline_is(property.value, id);
            }
        }
        found.has_rng |= is_rng;
    }
    return found;
}

/* A string that grows in a buffer of fixed size. */
struct writer {
    char *end;
    size_t room; /* without the NUL */
    bool full;
};

static void put(struct writer *out, const char *text)
{
    size_t length = strlen(text);

    if (length > out->room) {
        out->full = true;
        return;
    }
    memcpy(out->end, text, length + 1);
    out->end += length;
    out->room -= length;
}

static void put_number(struct writer *out, uint32_t number, uint32_t base)
{
    char digits[11]; /* 2^32 has ten, and the NUL */
    char *first = &digits[sizeof(digits) - 1];

    *first = '\0';
    do {
        *--first = "0123456789abcdef"[number % base];
        number /= base;
    } while (number > 0);
    put(out, first);
}

enum virtio_rng_status
virtio_rng_build(const struct virtio_rng_source *source, const char *cmdline,
                 size_t length, unsigned int pci_slot,
                 struct virtio_rng_argv *argv)
{
    struct writer object = {argv->object, sizeof(argv->object) - 1, false};
    struct writer device = {argv->device, sizeof(argv->device) - 1, false};
    struct cmdline read = cmdline_open(cmdline, length);
    char id[21]; /* "virtio_rng", ten digits, and the NUL */

    argv->object[0] = '\0';
    argv->device[0] = '\0';
    if (pci_slot > VIRTIO_RNG_MAX_PCI_SLOT) {
        return VIRTIO_RNG_BAD_SLOT;
    }
    if (!source->device) {
        return VIRTIO_RNG_OK;
    }

    /* Ends, since each further pass takes an option that has the id. */
    for (uint32_t n = 0;; n++) {
        struct writer name = {id, sizeof(id) - 1, false};
        struct findings found;

        put(&name, "virtio_rng");
        put_number(&name, n, 10);
        found = scan(read, id);
        if (found.has_rng) {
            return VIRTIO_RNG_OK;
        }
        if (!found.has_id) {
            break;
        }
    }

    put(&object, "rng-random,filename=");
    put(&object, source->device);
    put(&object, ",id=");
    put(&object, id);

    put(&device, "virtio-rng-pci,id=");
    put(&device, id);
    put(&device, ",rng=");
    put(&device, id);
    put(&device, ",max-bytes=" STRING(VIRTIO_RNG_MAX_BYTES)
                 ",period=" STRING(VIRTIO_RNG_PERIOD));
    if (pci_slot != 0) {
        put(&device, ",bus=pci.0,addr=0x");
        put_number(&device, pci_slot, 16);
    }

    if (object.full || device.full) {
        errno = ENAMETOOLONG;
        return VIRTIO_RNG_ERRNO;
    }
    return VIRTIO_RNG_OK;
}
