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
    struct span last = {NULL, 0}, value = {NULL, 0};
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

/*
 * The value of a key in "first,key=value,...", where the first piece may
 * leave its key away.  As in QEMU, the last one counts.  A comma in a value is
 * doubled there, which no driver and no id has.
 */
static struct span option_property(struct span rest, const char *key,
                                   bool implied)
{
    struct span piece, value = {NULL, 0};
    size_t key_length = strlen(key);

    if (rest.length > 0 && rest.text[0] == '{') {
        return json_property(rest, key);
    }
    for (; span_cut(&rest, ',', &piece); implied = false) {
        if (implied && !memchr(piece.text, '=', piece.length)) {
            value = piece;
        } else if (span_starts(piece, key) && piece.length > key_length &&
                   piece.text[key_length] == '=') {
            value = span_from(piece, key_length + 1);
        }
    }
    return value;
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

/* N of "rngN", written as we would write it; false for any other id. */
static bool rng_id_number(struct span id, uint32_t *number)
{
    static const char prefix[] = "rng";
    struct span digits;
    uint32_t n = 0;

    if (!span_starts(id, prefix)) {
        return false;
    }
    digits = span_from(id, strlen(prefix));
    if (digits.length == 0 || digits.length > 9 ||
        (digits.text[0] == '0' && digits.length > 1)) {
        return false;
    }
    for (size_t i = 0; i < digits.length; i++) {
        if (digits.text[i] < '0' || digits.text[i] > '9') {
            return false;
        }
        n = n * 10 + (uint32_t)(digits.text[i] - '0');
    }
    *number = n;
    return true;
}

/* Ids from first to first + IDS_PER_PASS - 1 are noted in one pass. */
#define IDS_PER_PASS 1024U

struct findings {
    bool has_rng;
    uint32_t first;
    uint64_t taken[IDS_PER_PASS / 64];
};

static void scan(struct span cmdline, uint32_t first, struct findings *found)
{
    struct span option, value;
    uint32_t n;

    memset(found, 0, sizeof(*found));
    found->first = first;
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
            found->has_rng |=
                is_rng_driver(option_property(value, "driver", true));
        } else if (rng_id_number(option_property(value, "id", false), &n) &&
                   n >= first && n - first < IDS_PER_PASS) {
            n -= first;
            found->taken[n / 64] |= UINT64_C(1) << (n % 64);
        }
    }
}

static bool free_id(const struct findings *found, uint32_t *id)
{
    for (uint32_t n = 0; n < IDS_PER_PASS; n++) {
        if (!(found->taken[n / 64] >> (n % 64) & 1)) {
            *id = found->first + n;
            return true;
        }
    }
    return false;
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
    struct span options = {cmdline, length};
    struct findings found;
    uint32_t id;

    argv->object[0] = '\0';
    argv->device[0] = '\0';
    if (pci_slot > VIRTIO_RNG_MAX_PCI_SLOT) {
        return VIRTIO_RNG_BAD_SLOT;
    }
    if (!source->device) {
        return VIRTIO_RNG_OK;
    }

    scan(options, 0, &found);
    if (found.has_rng) {
        return VIRTIO_RNG_OK;
    }
    /* Ends, since each further pass takes 1024 objects that have an id. */
    while (!free_id(&found, &id)) {
        scan(options, found.first + IDS_PER_PASS, &found);
    }

    put(&object, "rng-random,filename=");
    put(&object, source->device);
    put(&object, ",id=rng");
    put_number(&object, id, 10);

    put(&device, "virtio-rng-pci,rng=rng");
    put_number(&device, id, 10);
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
