/*
 * The hypervisor parameter virtio_rng: its values, the host devices behind
 * them, and the arguments by which QEMU gets the random number generator.
 *
 * Plain C, no Python, no allocation, no state.
 */

#ifndef VIRTIO_RNG_H
#define VIRTIO_RNG_H

#include <stdbool.h>
#include <stddef.h>

#define VIRTIO_RNG_PARAMETER "virtio_rng"

/*
 * What a guest may draw from the host: bytes per milliseconds.  A Linux guest
 * seeds itself with 64 bytes, so 1 KiB/s is plenty for a guest and nothing to
 * a host.
 */
#define VIRTIO_RNG_MAX_BYTES 1024
#define VIRTIO_RNG_PERIOD 1000

/* The last slot of a PCI bus; the first, 0, is the host bridge's. */
#define VIRTIO_RNG_MAX_PCI_SLOT 31

#define VIRTIO_RNG_VALUES 3

struct virtio_rng_source {
    const char *value;
    size_t length; /* of the value */
    const char *device; /* of the host; NULL: no generator for the guest */
    unsigned int major; /* the device's number in Linux's devices.txt */
    unsigned int minor;
};

/* Everything that is known of the values; the first one is "off". */
extern const struct virtio_rng_source virtio_rng_sources[VIRTIO_RNG_VALUES];
extern const struct virtio_rng_source *const virtio_rng_default;

enum virtio_rng_status {
    VIRTIO_RNG_OK,
    VIRTIO_RNG_BAD_SLOT,     /* no such slot on a PCI bus */
    VIRTIO_RNG_WRONG_DEVICE, /* it opens, but it is another file or device */
    VIRTIO_RNG_ERRNO,        /* errno says why */
};

/* Whether QEMU, started on this node by root, finds the source's device. */
enum virtio_rng_status
virtio_rng_check_device(const struct virtio_rng_source *source);

/* "-object" object "-device" device; or nothing, if there is no device. */
struct virtio_rng_argv {
    char object[64];
    char device[128];
};

/*
 * Builds the arguments that follow a QEMU command line, which is given as
 * Linux shows it in /proc/PID/cmdline: each argument ends in a NUL.  Both
 * strings are empty if the source is "off" or if the command line already has
 * a virtio-rng device.  A slot of 0 leaves the choice to QEMU.
 */
enum virtio_rng_status
virtio_rng_build(const struct virtio_rng_source *source, const char *cmdline,
                 size_t length, unsigned int pci_slot,
                 struct virtio_rng_argv *argv);

#endif
