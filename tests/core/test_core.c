/* The core alone, without Python: run by test_core.py under sanitizers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmdline.h"
#include "virtio_rng.h"

static const struct virtio_rng_source *source_of(const char *value)
{
    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        if (strcmp(virtio_rng_sources[i].value, value) == 0) {
            return &virtio_rng_sources[i];
        }
    }
    fail_msg("no such value: %s", value);
    return NULL;
}

static void table_is_the_specification(void **state)
{
    (void)state;
    assert_string_equal(virtio_rng_sources[0].value, "off");
    assert_null(virtio_rng_sources[0].device);
    assert_string_equal(virtio_rng_sources[1].value, "random");
    assert_string_equal(virtio_rng_sources[1].device, "/dev/random");
    assert_string_equal(virtio_rng_sources[2].value, "urandom");
    assert_string_equal(virtio_rng_sources[2].device, "/dev/urandom");
    assert_string_equal(virtio_rng_default->value, "random");

    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        const struct virtio_rng_source *source = &virtio_rng_sources[i];

        assert_int_equal(source->length, strlen(source->value));
    }
}

static void check_device_of_this_machine(void **state)
{
    (void)state;
    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        assert_int_equal(virtio_rng_check_device(&virtio_rng_sources[i]),
                         VIRTIO_RNG_OK);
    }
}

static int open_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 64; fd++) {
        struct stat st;

        count += fstat(fd, &st) == 0;
    }
    return count;
}

static void check_device_refuses(void **state)
{
    char directory[] = "/tmp/virtio_rng.XXXXXX";
    char fifo[64], file[64], link_random[64], link_null[64], dangling[64];
    struct virtio_rng_source source = *source_of("random");
    const int before = open_descriptors();
    FILE *stream;

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(fifo, sizeof(fifo), "%s/fifo", directory);
    snprintf(file, sizeof(file), "%s/file", directory);
    snprintf(link_random, sizeof(link_random), "%s/random", directory);
    snprintf(link_null, sizeof(link_null), "%s/null", directory);
    snprintf(dangling, sizeof(dangling), "%s/dangling", directory);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    stream = fopen(file, "w");
    assert_non_null(stream);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(symlink("/dev/urandom", link_random), 0);
    assert_int_equal(symlink("/dev/null", link_null), 0);
    assert_int_equal(symlink("nowhere", dangling), 0);

    source.device = dangling;
    errno = 0;
    assert_int_equal(virtio_rng_check_device(&source), VIRTIO_RNG_ERRNO);
    assert_int_equal(errno, ENOENT);

    const char *const wrong[] = {directory, fifo, file, link_null, "/dev/zero",
                                 "/dev/full"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        source.device = wrong[i];
        assert_int_equal(virtio_rng_check_device(&source),
                         VIRTIO_RNG_WRONG_DEVICE);
    }

    source.device = link_random;
    assert_int_equal(virtio_rng_check_device(&source), VIRTIO_RNG_OK);
    assert_int_equal(open_descriptors(), before);

    unlink(fifo);
    unlink(file);
    unlink(link_random);
    unlink(link_null);
    unlink(dangling);
    assert_int_equal(rmdir(directory), 0);
}

/* On the heap and to the byte, so that ASan sees one too far. */
static char *copy_of(const char *text, size_t length)
{
    char *copy = malloc(length + (length == 0));

    assert_non_null(copy);
    memcpy(copy, text, length);
    return copy;
}

/* Builds after a command line in the form of /proc/PID/cmdline. */
static struct virtio_rng_argv build(const char *value, const char *cmdline,
                                    size_t length, unsigned int slot)
{
    struct virtio_rng_argv argv;
    char *copy = copy_of(cmdline, length);

    assert_int_equal(
        virtio_rng_build(source_of(value), copy, length, slot, &argv),
        VIRTIO_RNG_OK);
    free(copy);
    return argv;
}

/* A file of golden/: value and slot, arguments, "--", what is built. */
static void build_is_golden(const char *path)
{
    static char text[65536], expected[sizeof(text)];
    FILE *stream = fopen(path, "r");
    struct virtio_rng_argv argv;
    char *cmdline, *end, built[512];
    unsigned int slot = 0;
    char value[16];

    assert_non_null(stream);
    text[fread(text, 1, sizeof(text) - 1, stream)] = '\0';
    assert_int_equal(fclose(stream), 0);

    assert_true(sscanf(text, "%15s%u", value, &slot) >= 1);
    cmdline = strchr(text, '\n') + 1;
    end = strstr(cmdline - 1, "\n--\n");
    assert_non_null(end);
    strcpy(expected, end + 4);
    end++;
    for (char *c = cmdline; c < end; c++) {
        *c = *c == '\n' ? '\0' : *c;
    }
    argv = build(value, cmdline, (size_t)(end - cmdline), slot);
    snprintf(built, sizeof(built), "-object\n%s\n-device\n%s\n", argv.object,
             argv.device);
    if (strcmp(expected, argv.object[0] ? built : "") != 0) {
        fail_msg("%s: built\n%s", path, built);
    }
}

static void build_is_the_contract(void **state)
{
    char folder[4096], path[8192];
    struct dirent *entry;
    DIR *directory;
    int count = 0;

    (void)state;
    snprintf(folder, sizeof(folder), "%s", __FILE__);
    *strrchr(folder, '/') = '\0';
    strcat(folder, "/golden");
    directory = opendir(folder);
    assert_non_null(directory);
    while ((entry = readdir(directory))) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
            build_is_golden(path);
            count++;
        }
    }
    assert_int_equal(closedir(directory), 0);
    assert_true(count >= 30);
}

static void build_places_the_device(void **state)
{
    struct virtio_rng_argv argv;

    (void)state;
    for (unsigned int slot = 1; slot <= VIRTIO_RNG_MAX_PCI_SLOT; slot++) {
        char expected[128];

        snprintf(expected, sizeof(expected),
                 "virtio-rng-pci,id=virtio_rng0,rng=virtio_rng0"
                 ",max-bytes=1024,period=1000,bus=pci.0,addr=0x%x",
                 slot);
        assert_int_equal(
            virtio_rng_build(source_of("random"), "", 0, slot, &argv),
            VIRTIO_RNG_OK);
        assert_string_equal(argv.device, expected);
    }
    assert_int_equal(
        virtio_rng_build(source_of("random"), "", 0, 32, &argv),
        VIRTIO_RNG_BAD_SLOT);
    assert_int_equal(
        virtio_rng_build(source_of("off"), "", 0, UINT32_MAX, &argv),
        VIRTIO_RNG_BAD_SLOT);
}

static void build_refuses_a_device_that_does_not_fit(void **state)
{
    struct virtio_rng_source source = *source_of("random");
    struct virtio_rng_argv argv;
    char device[200];

    (void)state;
    memset(device, 'x', sizeof(device) - 1);
    device[sizeof(device) - 1] = '\0';
    source.device = device;
    assert_int_equal(virtio_rng_build(&source, "", 0, 0, &argv),
                     VIRTIO_RNG_ERRNO);
    assert_int_equal(errno, ENAMETOOLONG);
}

static void build_sees_a_generator_that_is_there(void **state)
{
    static const char *const options[] = {"-device", "--device"};
    static const char *const values[] = {
        "virtio-rng",
        "virtio-rng-pci",
        "virtio-rng-pci-transitional",
        "virtio-rng-pci-non-transitional",
        "virtio-rng-ccw",
        "virtio-rng-device",
        "vhost-user-rng",
        "vhost-user-rng-pci",
        "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000",
        "virtio-rng-pci,id=my",
        "driver=virtio-rng-pci",
        "id=x,driver=virtio-rng-pci,rng=r",
        "e1000,id=,,,,,driver=virtio-rng-pci",
        "e1000,driver=virtio-rng-pci",
        "{\"driver\":\"virtio-rng-pci\"}",
        "{ \"rng\" : \"x\" , \"driver\" : \"virtio-rng-pci\" }",
        "{'driver':'virtio-rng-pci','rng':'rng0'}",
        "{\"a\":{\"driver\":\"e1000\"},\"driver\":\"virtio-rng-pci\"}",
        "{\"a\":[1,\"}\",\"\\\"\"],\"driver\":\"virtio-rng-pci\"}",
        "{\"\\u0064river\":\"virtio\\u002Drng-pci\"}",
    };
    char cmdline[256];

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            int length = snprintf(cmdline, sizeof(cmdline), "kvm%c%s%c%s%c-S",
                                  0, options[i], 0, values[j], 0);
            struct virtio_rng_argv argv =
                build("random", cmdline, (size_t)length + 1, 0);

            if (argv.object[0] || argv.device[0]) {
                fail_msg("a second generator beside %s", values[j]);
            }
        }
    }
}

#define LINE(text) {text, sizeof(text)}

static void build_is_not_deceived(void **state)
{
    (void)state;
    /* devices and options that only look alike, or stand elsewhere */
    static const struct {
        const char *text;
        size_t length;
    } others[] = {
        LINE("kvm\0-device\0virtio-rngx"),
        LINE("kvm\0-device\0xvirtio-rng-pci"),
        LINE("kvm\0-device\0e1000,id=virtio-rng-pci"),
        LINE("kvm\0-device\0virtio-rng-pci,driver=e1000"),
        LINE("kvm\0-name\0virtio-rng-pci"),
        LINE("kvm\0-devices\0virtio-rng-pci"),
        LINE("kvm\0---device\0virtio-rng-pci"),
        LINE("kvm\0-device\0\0virtio-rng-pci"),
        LINE("kvm\0-name\0-device\0virtio-rng-pci"),
        LINE("kvm\0-name\0-S\0-name\0-device\0virtio-rng-pci"),
        LINE("kvm\0-device\0virtio-rng-pci,id=a\0-set\0device.a.driver=x"),
        LINE("kvm\0-device\0{\"rng\":{\"driver\":\"virtio-rng-pci\"}}"),
        LINE("kvm\0-device\0{\"driver\":{\"driver\":\"virtio-rng-pci\"}}"),
        LINE("kvm\0-device\0{\"id\":\"virtio-rng-pci\",\"driver\":\"e1000\"}"),
        LINE("kvm\0-device\0{\"driver\":\"e1000\",\"x\":\"virtio-rng-pci\"}"),
        LINE("kvm\0-device\0{\"driver\":[\"virtio-rng-pci\"]}"),
        LINE("kvm\0-device\0}}}\"driver\":\"virtio-rng-pci\""),
        LINE("kvm\0-device\0{}}\"driver\":\"virtio-rng-pci\""),
        LINE("kvm\0-device\0{'"),
        LINE("kvm\0-device\0{\"\\"),
        LINE("kvm\0-device\0="),
        LINE("kvm\0-device\0,,,"),
        LINE("kvm\0-device\0e1000,id=a,,driver=virtio-rng-pci"),
        LINE("kvm\0-device\0e1000,id=,,,,driver=virtio-rng-pci"),
        LINE("kvm\0-device\0e1000,id=driver=virtio-rng-pci,,"),
        LINE("kvm\0-object\0virtio-rng-pci"),
        LINE("kvm\0-object\0x,driver=virtio-rng-pci"),
        LINE("kvm\0-object"),
        LINE("kvm\0-device"),
        LINE("\0\0"),
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct virtio_rng_argv argv =
            build("random", others[i].text, others[i].length, 0);
        if (!argv.object[0]) {
            fail_msg("no generator beside line %zu", i);
        }
        assert_string_equal(argv.object,
                            "rng-random,filename=/dev/random,id=virtio_rng0");
    }
}

static void build_passes_over_hundreds_of_ids(void **state)
{
    const unsigned int options = 500;
    char *cmdline = malloc(options * 32), *end = cmdline;
    struct virtio_rng_argv argv;

    (void)state;
    assert_non_null(cmdline);
    for (unsigned int i = 0; i < options; i++) {
        end += sprintf(end, "%s%ca,id=virtio_rng%u",
                       i % 2 ? "-object" : "-device", 0, i) + 1;
    }
    argv = build("urandom", cmdline, (size_t)(end - cmdline), 0);
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/urandom,id=virtio_rng500");
    free(cmdline);
}

/* Appends what is read of an option, or of nested JSON, as text. */
static void describe(char *text, struct cmdline_properties at)
{
    struct cmdline_property property;
    char buffer[256];
    size_t length;

    while (cmdline_next_property(&at, &property)) {
        bool nested = property.value.form == CMDLINE_OBJECT ||
                      property.value.form == CMDLINE_ARRAY;

        if (property.key.span.text) {
            length = cmdline_decode(property.key, buffer, sizeof(buffer));
            sprintf(text + strlen(text), " %.*s=", (int)length, buffer);
        } else {
            sprintf(text + strlen(text), " [%zu]=", property.index);
        }
        if (nested) {
            strcat(text, property.value.form == CMDLINE_OBJECT ? "{" : "[");
            describe(text, cmdline_members(property.value));
            strcat(text, property.value.form == CMDLINE_OBJECT ? " }" : " ]");
        } else {
            length = cmdline_decode(property.value, buffer, sizeof(buffer));
            assert_true(length <= sizeof(buffer));
            sprintf(text + strlen(text), "%s%.*s%s",
                    property.value.form == CMDLINE_NUMBER ? "#" : "",
                    (int)length, buffer, property.ignored ? "(ignored)" : "");
        }
    }
}

static void read_is_the_grammar(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        const char *expected;
    } lines[] = {
#define READ(text, expected) {text, sizeof(text), expected}
        READ("", ""),
        READ("kvm\0-S\0disk.img", ""),
        READ("-device\0e1000,id=a,addr=5", "device driver=e1000 id=a addr=5;"),
        READ("--device\0driver=e1000,,x", "device driver=e1000,x;"),
        READ("-device\0,,a=b,c=d", "device driver=,a=b c=d;"),
        READ("-device\0a,,b", "device driver=a,b;"),
        READ("-device\0a,b=,,,c=d", "device driver=a b=, c=d;"),
        READ("-device\0a,b=c,", "device driver=a b=c;"),
        READ("-device\0a,=b,=,,", "device driver=a =b =,;"),
        READ("-device\0a,b,noc,no,d=e",
             "device driver=a b=on c=off =off d=e;"),
        READ("-device\0a,b,,id=c", "device driver=a b=on =on id=c;"),
        READ("-device\0a,id=b,id=c",
             "device driver=a id=b id=c(ignored);"),
        READ("-drive\0file=a=b,readonly", "drive file=a=b readonly=on;"),
        READ("-drive\0{'a':1}", "drive {'a':1}=on;"),
        READ("-M\0pc,accel=kvm\0--machine\0type=q35",
             "machine type=pc accel=kvm;machine type=q35;"),
        READ("-nic\0none\0-net\0nic\0-netdev\0{'type':'user','id':'n'}",
             "nic type=none;net type=nic;netdev type=user id=n;"),
        READ("-virtfs\0local\0-fsdev\0local,id=f",
             "virtfs fsdriver=local;fsdev fsdriver=local id=f;"),
        READ("-watchdog\0a=b,,c\0-soundhw\0ac97,hda\0-watchdog\0\0",
             "watchdog model=a=b,,c;soundhw model=ac97,hda;watchdog;"),
        /* what is an option, and what is a value */
        READ("-name\0-device\0a\0-device\0b", "device driver=b;"),
        READ("-S\0--usb\0-device\0a", "device driver=a;"),
        READ("-device\0-device\0-device\0a",
             "device driver=-device;device driver=a;"),
        READ("-\0-device\0a\0--\0-device\0b\0---device\0-device\0c", ""),
        /* -set */
        READ("-device\0a,id=b\0-set\0device.b.c=d,,e.f=g",
             "device driver=a id=b c=d,,e.f=g;"),
        READ("-device\0a,id=b\0-S\0--set\0device.b.c.d=e\0-set\0device.b.id=f",
             "device driver=a id=b c.d=e id=f;"),
        READ("-set\0device.b.c=d\0-device\0a,id=b", "device driver=a id=b;"),
        READ("-device\0a,id=b,id=c\0-set\0device.c.d=e\0-set\0drive.b.d=e"
             "\0-set\0device.b\0-set\0device.bb.d=e\0-name\0-set\0-drive\0id=b",
             "device driver=a id=b id=c(ignored);drive id=b;"),
        READ("-device\0{'id':'b'}\0-set\0device.b.c=d", "device id=b;"),
        READ("-device\0a\0-set\0device..c=d", "device driver=a;"),
        READ("-device\0a,id=b\0-set", "device driver=a id=b;"),
        /* JSON */
        READ("-object\0{}", "object;"),
        READ("-object\0 {}", "object qom-type= {};"),
        READ("-object\0{ 'a' :\t1 , \"b\"\n:\r'2' }", "object a=#1 b=2;"),
        READ("-object\0{'a':true,'b':false,'c':null,'d':truer}",
             "object a=on b=off c=null d=truer;"),
        READ("-object\0{'a':-0,'b':00,'c':-,'d':1.5,'e':1e3,'f':-12}",
             "object a=#-0 b=00 c=- d=1.5 e=1e3 f=#-12;"),
        READ("-object\0{'a':18446744073709551615,'b':184467440737095516150}",
             "object a=#18446744073709551615 b=184467440737095516150;"),
        READ("-object\0{'a':[1,[],{'b':{}},'c'],'d':'}'}",
             "object a=[ [0]=#1 [1]=[ ] [2]={ b={ } } [3]=c ] d=};"),
        READ("-object\0{'a\\'\\\"':'b\\\\','c':\"'\\/\"}",
             "object a'\"=b\\ c='/;"),
        READ("-object\0{'\\u0061':'\\b\\f\\n\\r\\t\\q\\u'}",
             "object a=\b\f\n\r\tqu;"),
        READ("-object\0{'a':'\\u00e9\\u20AC\\ud83d\\ude00\\u12x4'}",
             "object a=\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80u12x4;"),
        READ("-object\0{'a':'\\ud83d\\u0041\\ude00'}",
             "object a=\xed\xa0\xbd" "A\xed\xb8\x80;"),
        /* what QEMU refuses */
        READ("-object\0{'a':1,'a':2}x{'b':3}", "object a=#1 a=#2;"),
        READ("-object\0{'a':1 'b':2", "object a=#1 b=#2;"),
        READ("-object\0{'a':1,'b':}", "object a=#1;"),
        READ("-object\0{'a':1,'b'}", "object a=#1;"),
        READ("-object\0{'a':1,2:3}", "object a=#1;"),
        READ("-object\0{'a':1,:3}", "object a=#1;"),
        READ("-object\0{'a':'\\", "object a=\\;"),
        READ("-object\0{'a':'", "object a=;"),
        READ("-object\0{'a':'\\x", "object a=x;"),
        READ("-object\0{'a':[1,2", "object a=[ [0]=#1 [1]=#2 ];"),
        READ("-object\0{'a':[{]}", "object a=[ [0]={ } ];"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        char *copy = copy_of(lines[i].text, lines[i].length), text[1024] = "";
        struct cmdline cmdline = cmdline_open(copy, lines[i].length);
        struct cmdline_option option;

        while (cmdline_next(&cmdline, &option)) {
            strcat(text, option.name);
            describe(text, cmdline_properties(&option));
            strcat(text, ";");
        }
        assert_string_equal(text, lines[i].expected);
        free(copy);
    }
}

static void decode_has_limits(void **state)
{
    const struct cmdline_text plain = {{"abcdef", 6}, CMDLINE_PLAIN};
    const struct cmdline_text commas = {{"a,,b,,", 6}, CMDLINE_COMMAS};
    const struct cmdline_text string = {{"\\u20acbc", 8}, CMDLINE_STRING};
    const struct cmdline_text longer = {
        {"\\u0061234567890123456789012345678901", 37}, CMDLINE_STRING};
    char buffer[8];

    (void)state;
    memset(buffer, 'x', sizeof(buffer));
    assert_int_equal(cmdline_decode(plain, buffer, 3), 6);
    assert_memory_equal(buffer, "abcxxxxx", 8);
    assert_int_equal(cmdline_decode(commas, buffer, 3), 4);
    assert_memory_equal(buffer, "a,bxxxxx", 8);
    assert_int_equal(cmdline_decode(string, buffer, 4), 5);
    assert_memory_equal(buffer, "\xe2\x82\xac" "bxxxx", 8);
    assert_true(cmdline_is(plain, "abcdef"));
    assert_false(cmdline_is(plain, "abcde"));
    assert_true(cmdline_is(commas, "a,b,"));
    assert_false(cmdline_is(commas, "a,b"));
    assert_false(cmdline_is(longer, "a234567890123456789012345678901"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_specification),
        cmocka_unit_test(check_device_of_this_machine),
        cmocka_unit_test(check_device_refuses),
        cmocka_unit_test(build_is_the_contract),
        cmocka_unit_test(build_places_the_device),
        cmocka_unit_test(build_refuses_a_device_that_does_not_fit),
        cmocka_unit_test(build_sees_a_generator_that_is_there),
        cmocka_unit_test(build_is_not_deceived),
        cmocka_unit_test(build_passes_over_hundreds_of_ids),
        cmocka_unit_test(read_is_the_grammar),
        cmocka_unit_test(decode_has_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
