/*
 * What is accepted is one of three strings, and nothing else; and nothing of
 * the input is in what comes of it.
 */

#include "fuzz.h"
#include "virtio_rng.h"

static int is(const uint8_t *data, size_t size, const char *text)
{
    size_t i = 0;

    while (i < size && text[i] != '\0' && data[i] == (uint8_t)text[i]) {
        i++;
    }
    return i == size && text[i] == '\0';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct virtio_rng_source *source = NULL;
    char *copy = join(data, size, NULL, 0);
    enum virtio_rng_status status = virtio_rng_parse(copy, size, &source);

    free(copy); /* from here on, ASan reports any use of the input */
    if (is(data, size, "off") || is(data, size, "random") ||
        is(data, size, "urandom")) {
        EXPECT(status == VIRTIO_RNG_OK && source);
        EXPECT(is(data, size, source->value));
        EXPECT(is(data, size, "off")
                   ? !source->device
                   : strncmp(source->device, "/dev/", 5) == 0 &&
                         is(data, size, source->device + 5));
    } else {
        EXPECT(status == VIRTIO_RNG_BAD_VALUE && !source);
    }
    return 0;
}
