/*
 * Any command line is read within its bounds; one of key=value as by the
 * oracle, and what was written as JSON as it was written.
 */

#include "cmdline.h"
#include "fuzz.h"

static void expect_text(struct cmdline_text text, const char *expected)
{
    char *buffer = malloc(text.span.length + 1);
    size_t length;

    EXPECT(buffer);
    length = cmdline_decode(text, buffer, text.span.length);
    EXPECT(length <= text.span.length);
    EXPECT(length == strlen(expected));
    EXPECT(memcmp(buffer, expected, length) == 0);
    free(buffer);
}

/* Reads all, nested JSON too; the sanitizers look on. */
static size_t read_properties(struct cmdline_properties at, unsigned int depth)
{
    struct cmdline_property property;
    size_t count = 0;
    char buffer[8];

    for (; cmdline_next_property(&at, &property); count++) {
        if (property.key.span.text) {
            EXPECT(cmdline_decode(property.key, buffer, sizeof(buffer)) <=
                   property.key.span.length);
        } else {
            EXPECT(property.index == count);
        }
        EXPECT(cmdline_decode(property.value, buffer, sizeof(buffer)) <=
               property.value.span.length);
        if (property.value.form >= CMDLINE_OBJECT && depth < 8) {
            read_properties(cmdline_members(property.value), depth + 1);
        }
    }
    return count;
}

/* The first option of a command line, which must have one. */
static struct cmdline_option first_option(const char *text, size_t length)
{
    struct cmdline cmdline = cmdline_open(text, length);
    struct cmdline_option option;

    EXPECT(cmdline_next(&cmdline, &option));
    return option;
}

static void expect_same_pairs(const struct cmdline_option *option,
                              const char *argument, const char *implied,
                              char *key, char *value)
{
    struct cmdline_properties at = cmdline_properties(option);
    struct cmdline_property property;
    int ids = 0;

    while ((argument = next_property(argument, implied, key, value))) {
        EXPECT(cmdline_next_property(&at, &property));
        expect_text(property.key, key);
        expect_text(property.value, value);
        EXPECT(property.ignored == (strcmp(key, "id") == 0 && ids++ > 0));
        implied = NULL;
    }
    EXPECT(!cmdline_next_property(&at, &property));
}

/* The options that the oracle sees are those that are read, in order. */
static void expect_same_options(const char *text, size_t size, char *key,
                                char *value)
{
    struct cmdline cmdline = cmdline_open(text, size);
    struct cmdline_option found;
    const char *end = text + size, *at = text, *argument, *option;

    while ((argument = next_argument(&at, end, &option))) {
        int takes_json = is_option(option, "-device") ||
                         is_option(option, "-object");

        if (!takes_json && !is_option(option, "-drive")) {
            continue;
        }
        do { /* the others that are read are not the oracle's */
            EXPECT(cmdline_next(&cmdline, &found));
        } while (found.argument.text != argument);
        EXPECT(strstr(option, found.name));
        if (!cmdline.has_set && !(takes_json && *argument == '{')) {
            expect_same_pairs(&found, argument,
                              is_option(option, "-device")   ? "driver"
                              : is_option(option, "-object") ? "qom-type"
                                                             : NULL,
                              key, value);
        }
    }
    while (cmdline_next(&cmdline, &found)) {
        EXPECT(strcmp(found.name, "device") && strcmp(found.name, "object") &&
               strcmp(found.name, "drive"));
    }
}

/* Each byte of the input becomes a character of a string in JSON. */
static void expect_json_back(const uint8_t *data, size_t size)
{
    static const char open[] = "-object\0{ 'x':[{'id':1}],\"\\u0069d\" :";
    static const char close[] = ",'y':-12}";
    char *text = malloc(sizeof(open) + 6 * size + sizeof(close) + 2);
    char *expected = malloc(size + 1), *end = text, quote;
    struct cmdline_properties at;
    struct cmdline_property property;
    struct cmdline_option option;

    EXPECT(text && expected);
    quote = size > 0 && data[0] % 2 ? '"' : '\'';
    end = (char *)memcpy(end, open, sizeof(open) - 1) + sizeof(open) - 1;
    *end++ = quote;
    for (size_t i = 0; i < size; i++) {
        char c = (char)(data[i] % 127 + 1);

        expected[i] = c;
        if (data[i] > 127 || strchr("\"'\\/", c)) {
            end += data[i] % 3 == 0 && strchr("\"'\\/", c)
                       ? sprintf(end, "\\%c", c)
                       : sprintf(end, i % 2 ? "\\u%04x" : "\\u%04X",
                                 (unsigned int)c);
        } else {
            *end++ = c;
        }
    }
    expected[size] = '\0';
    *end++ = quote;
    end = (char *)memcpy(end, close, sizeof(close)) + sizeof(close);

    option = first_option(text, (size_t)(end - text));
    at = cmdline_properties(&option);
    EXPECT(cmdline_next_property(&at, &property));
    EXPECT(property.value.form == CMDLINE_ARRAY);
    EXPECT(cmdline_next_property(&at, &property));
    expect_text(property.key, "id");
    expect_text(property.value, expected);
    EXPECT(property.value.form == CMDLINE_STRING && !property.ignored);
    EXPECT(cmdline_next_property(&at, &property));
    expect_text(property.value, "-12");
    EXPECT(property.value.form == CMDLINE_NUMBER);
    EXPECT(!cmdline_next_property(&at, &property));
    free(expected);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Ends where it ends, and may do so in the middle of an argument. */
    char *text = join(data, size, NULL, 0), *key, *value;
    struct cmdline cmdline = cmdline_open(text, size);
    struct cmdline_option option;

    while (cmdline_next(&cmdline, &option)) {
        EXPECT(option.argument.text >= text);
        EXPECT(option.argument.text + option.argument.length <= text + size);
        read_properties(cmdline_properties(&option), 0);
    }
    free(text);

    text = join(data, size, "", 1);
    key = malloc(size + 16);
    value = malloc(size + 16);
    EXPECT(key && value);
    expect_same_options(text, size + 1, key, value);
    free(key);
    free(value);
    free(text);
    expect_json_back(data, size);
    return 0;
}
