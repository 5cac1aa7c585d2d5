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

/*
 * The oracle: QEMU's grammar once more, in its own way, on strings that end in
 * a NUL.  It shares no code and no table with the core.
 */

/* Whether an option of QEMU, with its dashes, has no argument. */
static inline int is_flag(const char *option)
{
    static const char flags[] =
        " S h s help usb sdl tdf version snapshot portrait daemonize nographic "
        "full-screen singlestep one-insn-per-tb enable-kvm enable-hax "
        "enable-fips enable-sync-profile only-migratable preconfig "
        "mem-prealloc no-acpi no-hpet no-kvm no-kvm-irqchip no-kvm-pit "
        "no-kvm-pit-reinjection no-frame no-quit no-reboot no-shutdown "
        "no-fd-bootchk no-user-config nodefaults nodefconfig alt-grab "
        "ctrl-grab "
        "curses show-cursor localtime rtc-td-hack win2k-hack async-teardown "
        "audio-help jitdump perfmap semihosting old-param virtfs_synth "
        "xen-attach xen-create xen-domid-restrict ";
    char name[64];

    option += strncmp(option, "--", 2) == 0 ? 2 : 1;
    if (!*option || strlen(option) > 60 || strchr(option, ' ')) {
        return 0;
    }
    snprintf(name, sizeof(name), " %s ", option);
    return strstr(flags, name) != NULL;
}

/* The next option and its argument; NULL at the end. */
static inline const char *next_argument(const char **at, const char *end,
                                        const char **option)
{
    const char *argument;

    while (*at < end) {
        *option = *at;
        *at += strlen(*at) + 1;
        if (**option == '-' && !is_flag(*option)) {
            argument = *at;
            *at += *at < end ? strlen(*at) + 1 : 0;
            return argument < end ? argument : NULL;
        }
    }
    return NULL;
}

static inline int is_option(const char *option, const char *name)
{
    return strcmp(option + (strncmp(option, "--", 2) == 0), name) == 0;
}

/* The next property, and where the one after it starts; NULL at the end. */
static inline const char *next_property(const char *at, const char *implied,
                                        char *key, char *value)
{
    size_t length = strcspn(at, "=,"), no;

    if (!*at) {
        return NULL;
    }
    memcpy(key, at, length);
    key[length] = '\0';
    if (at[length] != '=' && !implied) {
        no = strncmp(key, "no", 2) == 0 ? 2 : 0;
        memmove(key, key + no, length - no + 1);
        strcpy(value, no ? "off" : "on");
        return at + length + (at[length] == ',');
    }
    if (at[length] == '=') {
        at += length + 1;
    } else {
        strcpy(key, implied);
    }
    for (; *at && (*at != ',' || at[1] == ','); at++) {
        *value++ = *at;
        at += *at == ',';
    }
    *value = '\0';
    return at + (*at == ',');
}

#endif
