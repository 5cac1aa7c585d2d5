/*
 * The grammar of QEMU's command line, as far as it matters here.
 *
 *   command-line = [ program ], { option | image } ;
 *   option       = ( "-" | "--" ), name, [ argument ] ;
 *   argument     = properties | json | word | set ;
 *
 * system/vl.c (softmmu/vl.c), lookup_opt(): the names say which options have
 * an argument; that is the next one whatever it looks like.
 *
 *   properties   = [ ( value | property ), { ",", property } ], [ "," ] ;
 *   property     = key, [ "=", value ] ;
 *   key          = { any but "," and "=" } ;
 *   value        = { any but "," | ",," } ;
 *
 * util/qemu-option.c, and util/keyval.c for -machine: a value that comes first
 * without a key has the option's implied one.  A key alone is "on", and with
 * "no" before it "off".  Of duplicates the last counts, but of ids the first.
 *
 *   json         = object ;
 *   object       = "{", [ member, { ",", member } ], "}" ;
 *   member       = string, ":", item ;
 *   array        = "[", [ item, { ",", item } ], "]" ;
 *   item         = object | array | string | number | word ;
 *   string       = '"', { character }, '"' | "'", { character }, "'" ;
 *
 * qobject/json-lexer.c, json-parser.c: an argument that starts with "{", of
 * options that take it.  QEMU refuses duplicates; here the last counts.
 *
 *   set          = group, ".", id, ".", key, "=", { any } ;
 *
 * system/vl.c, qemu_set_option(): as if the property were the last of the
 * option before it that is called as the group and has the id.  Not for JSON.
 */

#include "cmdline.h"

#include <stdint.h>

enum argument {
    PROPERTIES,
    PROPERTIES_OR_JSON,
    WORD,
    SET,
};

struct cmdline_syntax {
    const char *option;
    const char *name;
    const char *implied; /* the key of the first value, or of the word */
    enum argument argument;
};

/* The options that are read. */
static const struct cmdline_syntax syntaxes[] = {
    {"device", "device", "driver", PROPERTIES_OR_JSON},
    {"object", "object", "qom-type", PROPERTIES_OR_JSON},
    {"drive", "drive", NULL, PROPERTIES},
    {"machine", "machine", "type", PROPERTIES},
    {"M", "machine", "type", PROPERTIES},
    {"netdev", "netdev", "type", PROPERTIES_OR_JSON},
    {"nic", "nic", "type", PROPERTIES},
    {"net", "net", "type", PROPERTIES},
    {"virtfs", "virtfs", "fsdriver", PROPERTIES},
    {"fsdev", "fsdev", "fsdriver", PROPERTIES},
    {"watchdog", "watchdog", "model", WORD},
    {"soundhw", "soundhw", "model", WORD},
    {"audio", "audio", "driver", PROPERTIES},
    {"vga", "vga", "model", WORD},
    {"readconfig", "readconfig", "file", WORD},
    {"set", "set", NULL, SET},
};

/*
 * The options without an argument: those of qemu-options.def (made of
 * qemu-options.hx) without HAS_ARG, of QEMU 2.12 to 10.  Any other is taken to
 * have one, as most have.  For an option that a newer QEMU has without one,
 * this hides the one that follows; the other way round, a value that looks
 * like an option would be one, and that could be anything.
 */
static const char *const flags[] = {
    "S", "alt-grab", "async-teardown", "audio-help", "ctrl-grab", "curses",
    "daemonize", "enable-fips", "enable-hax", "enable-kvm",
    "enable-sync-profile", "full-screen", "h", "help", "jitdump", "localtime",
    "mem-prealloc", "no-acpi", "no-fd-bootchk", "no-frame", "no-hpet",
    "no-kvm", "no-kvm-irqchip", "no-kvm-pit", "no-kvm-pit-reinjection",
    "no-quit", "no-reboot", "no-shutdown", "no-user-config", "nodefaults",
    "nodefconfig", "nographic", "old-param", "one-insn-per-tb",
    "only-migratable", "perfmap", "portrait", "preconfig", "rtc-td-hack", "s",
    "sdl", "semihosting", "show-cursor", "singlestep", "snapshot", "tdf",
    "usb", "version", "virtfs_synth", "win2k-hack", "xen-attach", "xen-create",
    "xen-domid-restrict",
};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

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

static struct cmdline_text plain(const char *word)
{
    return (struct cmdline_text){{word, strlen(word)}, CMDLINE_PLAIN};
}

static const struct cmdline_syntax *find_syntax(struct span option)
{
    for (size_t i = 0; i < LENGTH(syntaxes); i++) {
        if (span_is(option, syntaxes[i].option)) {
            return &syntaxes[i];
        }
    }
    return NULL;
}

static bool is_flag(struct span option)
{
    for (size_t i = 0; i < LENGTH(flags); i++) {
        if (span_is(option, flags[i])) {
            return true;
        }
    }
    return false;
}

struct cmdline cmdline_open(const char *text, size_t length)
{
    static const char set[] = "-set"; /* with its NUL */

    return (struct cmdline){
        {text, length}, memmem(text, length, set, sizeof(set)) != NULL};
}

/* The same as cmdline_next(), but -set is an option as well. */
static bool next_option(struct cmdline *cmdline, struct cmdline_option *option)
{
    struct span name;

    while (span_cut(&cmdline->rest, '\0', &name)) {
        if (name.length == 0 || name.text[0] != '-') {
            continue; /* the program, or the image of a disk */
        }
        name = span_from(name, name.length > 1 && name.text[1] == '-' ? 2 : 1);
        option->syntax = find_syntax(name);
        /* An item without a dash is passed over, be it an argument or not. */
        if (!option->syntax && cmdline->rest.length > 0 &&
            cmdline->rest.text[0] == '-' && is_flag(name)) {
            continue;
        }
        if (!span_cut(&cmdline->rest, '\0', &option->argument)) {
            break;
        }
        if (option->syntax) {
            option->name = option->syntax->name;
            option->later = *cmdline;
            return true;
        }
    }
    return false;
}

bool cmdline_next(struct cmdline *cmdline, struct cmdline_option *option)
{
    while (next_option(cmdline, option)) {
        if (option->syntax->argument != SET) {
            return true;
        }
    }
    return false;
}

struct cmdline_properties
cmdline_properties(const struct cmdline_option *option)
{
    struct cmdline_properties at = {
        .rest = option->argument,
        .implied = option->syntax->implied,
        .syntax = option->syntax,
        .later = option->later,
    };

    if (option->syntax->argument == PROPERTIES_OR_JSON && at.rest.length > 0 &&
        at.rest.text[0] == '{') {
        at.form = CMDLINE_OBJECT;
        at.rest = span_from(at.rest, 1);
    }
    return at;
}

struct cmdline_properties cmdline_members(struct cmdline_text value)
{
    return (struct cmdline_properties){
        .rest = span_from(value.span, 1),
        .form = value.form,
    };
}

/* Takes a value and the comma after it off the front. */
static struct cmdline_text cut_value(struct span *rest)
{
    struct cmdline_text value = {{rest->text, 0}, CMDLINE_PLAIN};
    struct span piece;

    while (span_cut(rest, ',', &piece)) {
        value.span.length += piece.length;
        if (rest->length == 0 || rest->text[0] != ',') {
            break;
        }
        value.form = CMDLINE_COMMAS;
        value.span.length += 2;
        *rest = span_from(*rest, 1);
    }
    return value;
}

/* The next of the form key=value. */
static bool next_pair(struct cmdline_properties *at,
                      struct cmdline_property *property)
{
    struct span key = {at->rest.text, 0};
    const char *implied = at->implied;

    if (at->rest.length == 0) {
        return false;
    }
    at->implied = NULL;
    if (at->syntax->argument == WORD) {
        property->key = plain(implied);
        property->value = (struct cmdline_text){at->rest, CMDLINE_PLAIN};
        at->rest.length = 0;
        return true;
    }
    while (key.length < at->rest.length && key.text[key.length] != ',' &&
           key.text[key.length] != '=') {
        key.length++;
    }
    if (key.length < at->rest.length && key.text[key.length] == '=') {
        at->rest = span_from(at->rest, key.length + 1);
        property->value = cut_value(&at->rest);
    } else if (implied) {
        key = plain(implied).span;
        property->value = cut_value(&at->rest);
    } else {
        property->value = plain("on");
        (void)span_cut(&at->rest, ',', &key);
        if (key.length >= 2 && memcmp(key.text, "no", 2) == 0) {
            property->value = plain("off");
            key = span_from(key, 2);
        }
    }
    property->key = (struct cmdline_text){key, CMDLINE_PLAIN};
    if (span_is(key, "id")) {
        property->ignored = at->id.text != NULL;
        at->id = at->id.text ? at->id : property->value.span;
    }
    return true;
}

/* The next that a -set gives the option. */
static bool next_set(struct cmdline_properties *at,
                     struct cmdline_property *property)
{
    struct cmdline_option set;
    struct span group, id, key;

    if (at->id.length == 0 || !at->later.has_set) {
        return false;
    }
    while (next_option(&at->later, &set)) {
        if (set.syntax->argument == SET &&
            span_cut(&set.argument, '.', &group) &&
            span_is(group, at->syntax->name) &&
            span_cut(&set.argument, '.', &id) && span_equal(id, at->id) &&
            span_cut(&set.argument, '=', &key)) {
            property->key = (struct cmdline_text){key, CMDLINE_PLAIN};
            property->value =
                (struct cmdline_text){set.argument, CMDLINE_PLAIN};
            return true;
        }
    }
    return false;
}

/* Not for a NUL, which no argument has. */
static bool is_one_of(char c, const char *set)
{
    return strchr(set, c) != NULL;
}

/* Takes white space off the front, and the character if it follows. */
static bool json_take(struct span *rest, char c)
{
    size_t i = 0;
    bool found;

    while (i < rest->length && is_one_of(rest->text[i], " \t\r\n")) {
        i++;
    }
    found = i < rest->length && rest->text[i] == c;
    *rest = span_from(*rest, i + (found ? 1 : 0));
    return found;
}

/* Length of the string that the text starts with, quotes included. */
static size_t json_string_length(struct span text)
{
    size_t i = 1;

    while (i < text.length && text.text[i] != text.text[0]) {
        i += text.text[i] == '\\' ? 2 : 1;
    }
    return i < text.length ? i + 1 : text.length;
}

/* The same of an object or array; any bracket closes any. */
static size_t json_container_length(struct span text)
{
    size_t depth = 0, i = 0;

    while (i < text.length) {
        char c = text.text[i];

        depth += is_one_of(c, "{[") ? 1 : 0;
        depth -= is_one_of(c, "}]") ? 1 : 0;
        i += is_one_of(c, "\"'") ? json_string_length(span_from(text, i)) : 1;
        if (depth == 0) {
            break;
        }
    }
    return i;
}

static bool json_is_integer(struct span literal)
{
    size_t first = literal.text[0] == '-' ? 1 : 0;

    for (size_t i = first; i < literal.length; i++) {
        if (literal.text[i] < '0' || literal.text[i] > '9') {
            return false;
        }
    }
    return literal.length > first && literal.length <= 20 &&
           (literal.text[first] != '0' || literal.length == first + 1);
}

/* Takes an item off the front; false if there is none. */
static bool json_cut_item(struct span *rest, struct cmdline_text *item)
{
    size_t length = 0, end;

    if (rest->length == 0 || is_one_of(rest->text[0], ":,}]")) {
        return false;
    }
    switch (rest->text[0]) {
    case '"':
    case '\'':
        length = json_string_length(*rest);
        end = length > 1 && rest->text[length - 1] == rest->text[0] ? length - 1
                                                                    : length;
        *item =
            (struct cmdline_text){{rest->text + 1, end - 1}, CMDLINE_STRING};
        break;
    case '{':
    case '[':
        length = json_container_length(*rest);
        *item = (struct cmdline_text){
            {rest->text, length},
            rest->text[0] == '{' ? CMDLINE_OBJECT : CMDLINE_ARRAY};
        break;
    default:
        while (length < rest->length &&
               !is_one_of(rest->text[length], " \t\r\n:,{}[]\"'")) {
            length++;
        }
        *item = (struct cmdline_text){{rest->text, length}, CMDLINE_PLAIN};
        if (span_is(item->span, "true")) {
            *item = plain("on");
        } else if (span_is(item->span, "false")) {
            *item = plain("off");
        } else if (json_is_integer(item->span)) {
            item->form = CMDLINE_NUMBER;
        }
        break;
    }
    *rest = span_from(*rest, length);
    return true;
}

/* The next member of an object or array; none after what is no JSON. */
static bool next_member(struct cmdline_properties *at,
                        struct cmdline_property *property)
{
    (void)json_take(&at->rest, ',');
    (void)json_take(&at->rest, ' ');
    if (at->form == CMDLINE_ARRAY) {
        at->index++;
    } else if (!json_cut_item(&at->rest, &property->key) ||
               property->key.form != CMDLINE_STRING ||
               !json_take(&at->rest, ':')) {
        return false;
    }
    (void)json_take(&at->rest, ' ');
    return json_cut_item(&at->rest, &property->value);
}

bool cmdline_next_property(struct cmdline_properties *at,
                           struct cmdline_property *property)
{
    *property = (struct cmdline_property){.index = at->index};
    if (at->form == CMDLINE_OBJECT || at->form == CMDLINE_ARRAY) {
        return next_member(at, property);
    }
    return next_pair(at, property) || next_set(at, property);
}

/* The code unit of an escape \uXXXX that the text starts with; or -1. */
static int32_t json_code_unit(struct span text)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    int32_t unit = 0;

    if (text.length < 6 || text.text[0] != '\\' || text.text[1] != 'u') {
        return -1;
    }
    for (size_t i = 2; i < 6; i++) {
        const char *digit = memchr(digits, text.text[i], sizeof(digits) - 1);

        if (!digit) {
            return -1;
        }
        unit = unit * 16 + (int32_t)(digit - digits) -
               (digit - digits > 15 ? 6 : 0);
    }
    return unit;
}

static size_t encode_utf8(int32_t code, char *bytes)
{
    static const unsigned char marks[] = {0, 0xc0, 0xe0, 0xf0};
    size_t more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

    for (size_t i = more; i > 0; i--) {
        bytes[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    bytes[0] = (char)(marks[more] | code);
    return more + 1;
}

/* Takes a character of a string off the front, an escaped one decoded. */
static size_t json_character(struct span *rest, char *bytes)
{
    static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
    int32_t code = json_code_unit(*rest);

    if (code >= 0) {
        int32_t low;

        *rest = span_from(*rest, 6);
        low = json_code_unit(*rest);
        if (code >> 10 == 0xd800 >> 10 && low >> 10 == 0xdc00 >> 10) {
            *rest = span_from(*rest, 6);
            code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        }
        return encode_utf8(code, bytes);
    }
    if (rest->text[0] == '\\' && rest->length > 1) {
        const char *name;

        *rest = span_from(*rest, 1);
        name = memchr(names, rest->text[0], sizeof(names) - 1);
        bytes[0] = *(name ? &meant[name - names] : rest->text);
    } else {
        bytes[0] = rest->text[0];
    }
    *rest = span_from(*rest, 1);
    return 1;
}

size_t cmdline_decode(struct cmdline_text text, char *buffer, size_t room)
{
    struct span rest = text.span;
    size_t length = 0;

    while (rest.length > 0) {
        char bytes[4] = {rest.text[0]};
        size_t size = 1;

        if (text.form == CMDLINE_STRING) {
            size = json_character(&rest, bytes);
        } else {
            bool doubled = text.form == CMDLINE_COMMAS && bytes[0] == ',';

            rest = span_from(rest, doubled ? 2 : 1);
        }
        for (size_t i = 0; i < size; i++, length++) {
            if (length < room) {
                buffer[length] = bytes[i];
            }
        }
    }
    return length;
}

bool cmdline_is(struct cmdline_text text, const char *word)
{
    char buffer[32];
    size_t length;

    if (text.form == CMDLINE_PLAIN) {
        return span_is(text.span, word);
    }
    length = cmdline_decode(text, buffer, sizeof(buffer));
    return length < sizeof(buffer) && span_is((struct span){buffer, length},
                                              word);
}
