/*
 * What QEMU's command line says of objects, devices, drives, the machine and
 * the network: its one reader.
 *
 * Stateless and without allocation: all that is read is a span of the caller's
 * buffer, or of a constant.  What QEMU would refuse is read as far as it goes.
 */

#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

/* A piece of text; not NUL-terminated. */
struct span {
    const char *text;
    size_t length;
};

static inline bool span_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.text, b.text, a.length) == 0;
}

static inline bool span_is(struct span span, const char *text)
{
    return span_equal(span, (struct span){text, strlen(text)});
}

/* How the span of a key or a value is to be read. */
enum cmdline_form {
    CMDLINE_PLAIN,  /* as it is */
    CMDLINE_COMMAS, /* each comma is doubled */
    CMDLINE_STRING, /* of JSON, without the quotes */
    CMDLINE_NUMBER, /* of JSON, an integer of at most 20 characters */
    CMDLINE_OBJECT, /* of JSON, with the brackets */
    CMDLINE_ARRAY,
};

struct cmdline_text {
    struct span span;
    enum cmdline_form form;
};

/*
 * A command line as Linux shows it in /proc/PID/cmdline: each argument ends in
 * a NUL.  It begins with the program or with an option.
 */
struct cmdline {
    struct span rest;
    bool has_set; /* whether there may be a -set */
};

struct cmdline_option {
    const char *name; /* without dashes; "machine" for -M as well */
    const struct cmdline_syntax *syntax;
    struct span argument;
    struct cmdline later; /* the command line after it */
};

/* Where the reader is in the properties of an option, or in nested JSON. */
struct cmdline_properties {
    struct span rest;
    enum cmdline_form form; /* CMDLINE_OBJECT, _ARRAY, or neither */
    size_t index;           /* in an array */
    const char *implied;    /* key of a value without one, at the start */
    const struct cmdline_syntax *syntax;
    struct span id;
    struct cmdline later; /* the command line after the option */
};

struct cmdline_property {
    struct cmdline_text key; /* in an array, its span.text is NULL */
    size_t index;            /* in an array, counted from 0 */
    struct cmdline_text value;
    bool ignored; /* by QEMU: an id that is not the first */
};

struct cmdline cmdline_open(const char *text, size_t length);

/* The next option that is read; false at the end. */
bool cmdline_next(struct cmdline *cmdline, struct cmdline_option *option);

/*
 * The properties of an option, those that a later -set gives it last; and the
 * members of a value that is CMDLINE_OBJECT or CMDLINE_ARRAY.
 */
struct cmdline_properties
cmdline_properties(const struct cmdline_option *option);
struct cmdline_properties cmdline_members(struct cmdline_text value);

/* The next property; false at the end. */
bool cmdline_next_property(struct cmdline_properties *at,
                           struct cmdline_property *property);

/*
 * Writes what the text stands for, without a NUL and as far as there is room.
 * Returns the length of all of it, which is never more than the span's.
 */
size_t cmdline_decode(struct cmdline_text text, char *buffer, size_t room);

/* Whether the text stands for the word, of at most 31 characters. */
bool cmdline_is(struct cmdline_text text, const char *word);

#endif
