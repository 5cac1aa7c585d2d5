/*
 * What is built reads back, by a parser of its own, as one object and one
 * device that belong together, and it holds nothing of the input.
 */

#include "fuzz.h"
#include "virtio_rng.h"

/* Of "driver,key=value,..."; no value of ours has a comma. */
static unsigned int pieces(const char *options)
{
    unsigned int count = 1;

    for (; *options; options++) {
        count += *options == ',';
    }
    return count;
}

/* The first value that the key has. */
static const char *property(const char *options, const char *key, char *value,
                            size_t room)
{
    size_t length = strlen(key);

    for (const char *piece = options; piece;) {
        const char *comma = strchr(piece, ',');
        size_t size = comma ? (size_t)(comma - piece) : strlen(piece);

        if (size > length && strncmp(piece, key, length) == 0 &&
            piece[length] == '=') {
            EXPECT(size - length - 1 < room);
            memcpy(value, piece + length + 1, size - length - 1);
            value[size - length - 1] = '\0';
            return value;
        }
        piece = comma ? comma + 1 : NULL;
    }
    return NULL;
}

/*
 * Whether an object of the command line, if it isn't JSON, has the id.  A
 * doubled comma is part of a value, here until the next that is alone.
 */
static int has_object(const char *cmdline, size_t size, const char *id)
{
    const char *end = cmdline + size, *previous = "";

    for (const char *arg = cmdline; arg < end; arg += strlen(arg) + 1) {
        int is_object = strcmp(previous, "-object") == 0 ||
                        strcmp(previous, "--object") == 0;
        int is_value = is_object || strcmp(previous, "-device") == 0 ||
                       strcmp(previous, "--device") == 0;
        size_t start = 0, length = strlen(arg);

        for (size_t i = 0; is_object && arg[0] != '{' && i <= length; i++) {
            if (arg[i] == ',' && arg[i + 1] == ',') {
                i++;
            } else if (arg[i] == ',' || arg[i] == '\0') {
                if (i - start == strlen(id) + 3 &&
                    memcmp(arg + start, "id=", 3) == 0 &&
                    memcmp(arg + start + 3, id, strlen(id)) == 0) {
                    return 1;
                }
                start = i + 1;
            }
        }
        previous = is_value ? "" : arg;
    }
    return 0;
}

/* One object and one device, with what they must have and nothing else. */
static void expect_pair(const struct virtio_rng_argv *argv, const char *device,
                        unsigned int slot, char *id, size_t room)
{
    char value[64];

    EXPECT(strncmp(argv->object, "rng-random,", 11) == 0);
    EXPECT(pieces(argv->object) == 3);
    EXPECT(property(argv->object, "filename", value, sizeof(value)));
    EXPECT(strcmp(value, device) == 0);
    EXPECT(property(argv->object, "id", id, room));
    EXPECT(strncmp(id, "rng", 3) == 0);
    EXPECT(strspn(id + 3, "0123456789") == strlen(id + 3) && id[3]);

    EXPECT(strncmp(argv->device, "virtio-rng-pci,", 15) == 0);
    EXPECT(pieces(argv->device) == (slot ? 6 : 4));
    EXPECT(property(argv->device, "rng", value, sizeof(value)));
    EXPECT(strcmp(value, id) == 0);
    EXPECT(property(argv->device, "max-bytes", value, sizeof(value)));
    EXPECT(strcmp(value, "1024") == 0);
    EXPECT(property(argv->device, "period", value, sizeof(value)));
    EXPECT(strcmp(value, "1000") == 0);
    if (slot) {
        EXPECT(property(argv->device, "bus", value, sizeof(value)));
        EXPECT(strcmp(value, "pci.0") == 0);
        EXPECT(property(argv->device, "addr", value, sizeof(value)));
        EXPECT(strtoul(value, NULL, 16) == slot);
    }
}

/* Builds after two command lines in one. */
static struct virtio_rng_argv
build_after(const struct virtio_rng_source *source, const uint8_t *data,
            size_t size, const char *more, int length)
{
    struct virtio_rng_argv argv;
    char *both = join(data, size, more, (size_t)length + 1);

    EXPECT(virtio_rng_build(source, both, size + (size_t)length + 1, 0,
                            &argv) == VIRTIO_RNG_OK);
    free(both);
    return argv;
}

/* What is built is seen: there is no second generator, and no second id. */
static void expect_respect(const struct virtio_rng_source *source,
                           const uint8_t *data, size_t size,
                           const struct virtio_rng_argv *argv, const char *id)
{
    struct virtio_rng_argv again;
    char text[256], other[16];
    int length;

    /* An option that has no value yet takes the first, or what is before. */
    length = snprintf(text, sizeof(text), "%cx%c-object%c%s%c-device%c%s", 0, 0,
                      0, argv->object, 0, 0, argv->device);
    again = build_after(source, data, size, text, length);
    EXPECT(!again.object[0] && !again.device[0]);

    length = snprintf(text, sizeof(text), "%cx%c-object%ca,id=%s", 0, 0, 0, id);
    again = build_after(source, data, size, text, length);
    EXPECT(property(again.object, "id", other, sizeof(other)));
    EXPECT(strcmp(other, id) != 0);

    length = snprintf(text, sizeof(text), "%cx%c-object%c{\"id\":\"%s\"}", 0, 0,
                      0, id);
    again = build_after(source, data, size, text, length);
    EXPECT(property(again.object, "id", other, sizeof(other)));
    EXPECT(strcmp(other, id) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_rng_argv argv;
    const struct virtio_rng_source *source;
    unsigned int slot;
    char id[16];
    char *cmdline;

    /*
     * The first byte chooses the arguments, the others are the command line.
     * The slash of a real one means urandom in slot 15.
     */
    if (size < 1) {
        return 0;
    }
    source = &virtio_rng_sources[data[0] % VIRTIO_RNG_VALUES];
    slot = (data[0] / VIRTIO_RNG_VALUES) % (VIRTIO_RNG_MAX_PCI_SLOT + 3);
    data++;
    size--;
    cmdline = join(data, size, "", 1); /* with the last NUL */

    memset(&argv, 'x', sizeof(argv));
    if (slot > VIRTIO_RNG_MAX_PCI_SLOT) {
        EXPECT(virtio_rng_build(source, cmdline, size + 1, slot, &argv) ==
               VIRTIO_RNG_BAD_SLOT);
        EXPECT(!argv.object[0] && !argv.device[0]);
        free(cmdline);
        return 0;
    }
    EXPECT(virtio_rng_build(source, cmdline, size + 1, slot, &argv) ==
           VIRTIO_RNG_OK);
    EXPECT(!argv.object[0] == !argv.device[0]);
    EXPECT(source->device || !argv.object[0]);

    if (argv.object[0]) {
        expect_pair(&argv, source->device, slot, id, sizeof(id));
        expect_respect(source, data, size, &argv, id);
        EXPECT(!has_object(cmdline, size + 1, id));
        for (unsigned long n = strtoul(id + 3, NULL, 10); n > 0; n--) {
            /* the first that is free, unless the others are in JSON */
            snprintf(id, sizeof(id), "rng%lu", n - 1);
            EXPECT(memchr(cmdline, '{', size) ||
                   has_object(cmdline, size + 1, id));
        }
    }
    free(cmdline);
    return 0;
}
