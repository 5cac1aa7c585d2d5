/*
 * A generator or an id that is on the command line is seen, whatever surrounds
 * it; and no device is an object, nor the other way round.
 */

#include "fuzz.h"

/* The scanner is private. */
#include "argv.c"

static struct findings scan_both(const void *first, size_t first_length,
                                 const void *second, size_t second_length)
{
    char *both = join(first, first_length, second, second_length);
    struct findings found =
        scan((struct span){both, first_length + second_length}, "rng7");

    free(both);
    return found;
}

#define BEFORE(text) scan_both(text, sizeof(text), data, size)
#define AFTER(text) scan_both(data, size, text, sizeof(text))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct findings alone, more;

    /* Ends where it ends, and may do so in the middle of an argument. */
    alone = scan_both(data, size, NULL, 0);
    more = BEFORE("kvm");
    EXPECT(more.has_rng == alone.has_rng && more.has_id == alone.has_id);
    more = BEFORE("-device\0virtio-rng-pci");
    EXPECT(more.has_rng && more.has_id == alone.has_id);
    more = BEFORE("--object\0{'qom-type':'rng-builtin','id':'rng7'}");
    EXPECT(more.has_id && more.has_rng == alone.has_rng);

    /* An option that has no value yet takes the "x", or what is before it. */
    alone = AFTER("\0x");
    more = AFTER("\0x\0--device\0{\"driver\":\"virtio-rng-pci\"}");
    EXPECT(more.has_rng && more.has_id == alone.has_id);
    more = AFTER("\0x\0-object\0rng-builtin,id=rng7");
    EXPECT(more.has_id && more.has_rng == alone.has_rng);
    more = AFTER("\0x\0-device\0e1000,id=rng7\0"
                 "-object\0virtio-rng-pci,id=rng8");
    EXPECT(more.has_id == alone.has_id && more.has_rng == alone.has_rng);

    /* The same text, up to a NUL, as the value of one option. */
    size = size > 0 ? strnlen((const char *)data, size) : 0;
    EXPECT(!BEFORE("-device").has_id);
    EXPECT(!BEFORE("-object").has_rng);
    return 0;
}
