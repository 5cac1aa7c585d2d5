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

static int is_read(const char *option)
{
    return is_option(option, "-object") || is_option(option, "-device");
}

/* Whether a later -set gives the id to the option, whose first id is own. */
static int set_has_id(const char *at, const char *end, const char *group,
                      const char *own, const char *id)
{
    const char *option, *argument;
    size_t length = strlen(group), own_length = strlen(own);

    while ((argument = next_argument(&at, end, &option))) {
        if (is_option(option, "-set") && *own && !strchr(own, '.') &&
            strncmp(argument, group, length) == 0 && argument[length] == '.' &&
            strncmp(argument + length + 1, own, own_length) == 0 &&
            strncmp(argument + length + 1 + own_length, ".id=", 4) == 0 &&
            strcmp(argument + length + 1 + own_length + 4, id) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Whether an -object or -device that isn't JSON has the id. */
static int has_id(const char *cmdline, size_t size, const char *id)
{
    const char *end = cmdline + size, *at = cmdline, *option, *argument;
    char *key = malloc(size + 16), *value = malloc(size + 16);
    char *own = malloc(size + 16);
    int found = 0;

    EXPECT(key && value && own);
    while (!found && (argument = next_argument(&at, end, &option))) {
        const char *implied = "driver or qom-type";
        int ids = 0;

        *own = '\0';
        if (!is_read(option) || *argument == '{') {
            continue;
        }
        while ((argument = next_property(argument, implied, key, value))) {
            implied = NULL;
            if (strcmp(key, "id") == 0) {
                found |= strcmp(value, id) == 0;
                if (ids++ == 0) {
                    strcpy(own, value);
                }
            }
        }
        found |= set_has_id(at, end, strstr(option, "device") ? "device"
                                                              : "object",
                            own, id);
    }
    free(own);
    free(value);
    free(key);
    return found;
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
    EXPECT(strncmp(id, "virtio_rng", 10) == 0);
    EXPECT(strspn(id + 10, "0123456789") == strlen(id + 10) && id[10]);

    EXPECT(strncmp(argv->device, "virtio-rng-pci,", 15) == 0);
    EXPECT(pieces(argv->device) == (slot ? 7 : 5));
    EXPECT(property(argv->device, "id", value, sizeof(value)));
    EXPECT(strcmp(value, id) == 0);
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
    static const char *const forms[] = {
        "%cx%c-object%ca,id=%s", "%cx%c--device%ca,id=%s",
        "%cx%c-object%c{\"id\":\"%s\"}", "%cx%c-device%c{'a':1,'id':'%s'}"};
    char text[384], other[32];
    int length;

    /* An option that has no value yet takes the "x", or what is before it. */
    length = snprintf(text, sizeof(text), "%cx%c-object%c%s%c-device%c%s", 0, 0,
                      0, argv->object, 0, 0, argv->device);
    again = build_after(source, data, size, text, length);
    EXPECT(!again.object[0] && !again.device[0]);

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        length = snprintf(text, sizeof(text), forms[i], 0, 0, 0, id);
        again = build_after(source, data, size, text, length);
        EXPECT(property(again.object, "id", other, sizeof(other)));
        EXPECT(strcmp(other, id) != 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct virtio_rng_argv argv;
    const struct virtio_rng_source *source;
    unsigned int slot;
    char id[32];
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
        EXPECT(!has_id(cmdline, size + 1, id));
        for (unsigned long n = strtoul(id + 10, NULL, 10); n > 0; n--) {
            /* the first that is free, unless the others are in JSON */
            snprintf(id, sizeof(id), "virtio_rng%lu", n - 1);
            EXPECT(memchr(cmdline, '{', size) ||
                   has_id(cmdline, size + 1, id));
        }
    }
    free(cmdline);
    return 0;
}
