/* What the fuzz targets share.  A property that doesn't hold aborts. */

#ifndef FUZZ_H
#define FUZZ_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(condition)                                                      \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,       \
                    #condition);                                               \
            abort();                                                           \
        }                                                                      \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Both in one, on the heap and to the byte, so that ASan sees one too far. */
static inline char *join(const void *first, size_t first_length,
                         const void *second, size_t second_length)
{
    char *both = malloc(first_length + second_length);

    EXPECT(both); /* also if it is empty, with ASan */
    if (first_length > 0) { /* libFuzzer's empty input may be NULL */
        memcpy(both, first, first_length);
    }
    if (second_length > 0) {
        memcpy(both + first_length, second, second_length);
    }
    return both;
}

#endif
