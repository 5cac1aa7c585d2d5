/* The -object/-device pair, and the command line that it must fit. */

#include "virtio_rng.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define STRING(macro) STRING_OF(macro)
#define STRING_OF(text) #text

/* A piece of a command line; not NUL-terminated. */
struct span {
    const char *text;
    size_t length;
};

static bool span_is(struct span span, const char *text)
{
    return span.length == strlen(text) &&
           memcmp(span.text, text, span.length) == 0;
}

static bool span_starts(struct span span, const char *text)
{
    return span.length >= strlen(text) &&
           memcmp(span.text, text, strlen(text)) == 0;
}

static struct span span_from(struct span span, size_t start)
{
    return (struct span){span.text + start, span.length - start};
}

/* Takes the text up to the separator off the front; false at the end. */
static bool span_cut(struct span *rest, char separator, struct span *piece)
{
    const char *end;

    if (rest->length == 0) {
        return false;
    }
    end = memchr(rest->text, separator, rest->length);
    piece->text = rest->text;
    piece->length = end ? (size_t)(end - rest->text) : rest->length;
    *rest = span_from(*rest, piece->length + (end ? 1 : 0));
    return true;
}

/* The same with a comma; one that is doubled is part of a value. */
static bool span_cut_option(struct span *rest, struct span *piece)
{
    struct span more;

    if (!span_cut(rest, ',', piece)) {
        return false;
    }
    while (rest->length > 0 && rest->text[0] == ',') {
        *rest = span_from(*rest, 1);
        piece->length += 2;
        if (span_cut(rest, ',', &more)) {
            piece->length += more.length;
        }
    }
    return true;
}

/* Length of the JSON string that the text starts with, quotes included. */
static size_t json_string_length(struct span text)
{
    size_t i = 1;

    while (i < text.length && text.text[i] != text.text[0]) {
        i += text.text[i] == '\\' ? 2 : 1;
    }
    return i < text.length ? i + 1 : text.length;
}

/*
 * The string that a key of the outermost JSON object has, as QEMU reads it:
 * it takes single quotes as well.  Names of drivers and ids hold nothing that
 * JSON would escape, so no escape is decoded.
 */
static struct span json_property(struct span rest, const char *key)
{
    struct span last = {"", 0}, value = {"", 0};
    unsigned int depth = 0;
    bool wanted = false;

    while (rest.length > 0) {
        size_t step = 1;

        switch (rest.text[0]) {
        case '{':
        case '[':
            depth++;
            wanted = false;
            break;
        case '}':
        case ']':
            depth -= depth > 0 ? 1 : 0;
            break;
        case ':':
            wanted = depth == 1 && span_is(last, key);
            break;
        case ',':
            wanted = false;
            break;
        case '"':
        case '\'':
            step = json_string_length(rest);
            last = (struct span){rest.text + 1, step > 1 ? step - 2 : 0};
            if (wanted) {
                value = last;
            }
            break;
        default:
            break;
        }
        rest = span_from(rest, step);
    }
    return value;
}

static bool is_json(struct span options)
{
    return options.length > 0 && options.text[0] == '{';
}

/* Of "driver,key=value,..." or "driver=...": as in QEMU, the last one counts. */
static struct span device_driver(struct span device)
{
    static const char key[] = "driver=";
    struct span piece, driver = {"", 0};
    bool first = true;

    if (is_json(device)) {
        return json_property(device, "driver");
    }
    for (; span_cut_option(&device, &piece); first = false) {
        if (first && !memchr(piece.text, '=', piece.length)) {
            driver = piece;
        } else if (span_starts(piece, key)) {
            driver = span_from(piece, strlen(key));
        }
    }
    return driver;
}

/* virtio-rng, virtio-rng-pci, vhost-user-rng-pci, ... */
static bool is_rng_driver(struct span driver)
{
    static const char *const families[] = {"virtio-rng", "vhost-user-rng"};

    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        size_t length = strlen(families[i]);

        if (span_starts(driver, families[i]) &&
            (driver.length == length || driver.text[length] == '-')) {
            return true;
        }
    }
    return false;
}

/* If there are several, it is no matter which of them QEMU takes. */
static bool object_has_id(struct span object, const char *id)
{
    static const char key[] = "id=";
    struct span piece;

    if (is_json(object)) {
        return span_is(json_property(object, "id"), id);
    }
    while (span_cut_option(&object, &piece)) {
        if (span_starts(piece, key) &&
            span_is(span_from(piece, strlen(key)), id)) {
            return true;
        }
    }
    return false;
}

struct findings {
    bool has_rng;
    bool has_id;
};

static struct findings scan(struct span cmdline, const char *id)
{
    struct findings found = {false, false};
    struct span option, value;

    while (span_cut(&cmdline, '\0', &option)) {
        bool device = span_is(option, "-device") || span_is(option, "--device");

        if (!device && !span_is(option, "-object") &&
            !span_is(option, "--object")) {
            continue;
        }
        if (!span_cut(&cmdline, '\0', &value)) {
            break;
        }
        if (device) {
            found.has_rng |= is_rng_driver(device_driver(value));
        } else {
            found.has_id |= object_has_id(value, id);
        }
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
    char id[14]; /* "rng", ten digits, and the NUL */

    argv->object[0] = '\0';
    argv->device[0] = '\0';
    if (pci_slot > VIRTIO_RNG_MAX_PCI_SLOT) {
        return VIRTIO_RNG_BAD_SLOT;
    }
    if (!source->device) {
        return VIRTIO_RNG_OK;
    }

    /* Ends, since each further pass takes an object that has the id. */
    for (uint32_t n = 0;; n++) {
        struct writer name = {id, sizeof(id) - 1, false};
        struct findings found;

        put(&name, "rng");
        put_number(&name, n, 10);
        found = scan((struct span){cmdline, length}, id);
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

    put(&device, "virtio-rng-pci,rng=");
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
