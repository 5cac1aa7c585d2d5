/* The core alone, without Python: run by test_core.py under sanitizers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "virtio_rng.h"

static const struct virtio_rng_source *source_of(const char *value)
{
    const struct virtio_rng_source *source = NULL;

    assert_int_equal(virtio_rng_parse(value, strlen(value), &source),
                     VIRTIO_RNG_OK);
    return source;
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

        assert_true(strlen(source->value) <= VIRTIO_RNG_MAX_VALUE_LENGTH);
        assert_ptr_equal(source_of(source->value), source);
        assert_true(strlen(source->help) > 0);
    }
}

static void parse_takes_nothing_else(void **state)
{
    static const char *const refused[] = {
        "",        " ",       "foo",     "URANDOM",   "Random",   "urandom ",
        " random", "random,", "rando",   "randomx",   "urandom\n", "of",
        "offf",    "on",      "no",      "/dev/random", "default",
        "urandom,filename=/etc/shadow",
    };
    const struct virtio_rng_source *source;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        /* On the heap and without a NUL, so that ASan sees a byte too far. */
        size_t length = strlen(refused[i]);
        char *text = malloc(length + (length == 0));

        assert_non_null(text);
        memcpy(text, refused[i], length);
        assert_int_equal(virtio_rng_parse(text, length, &source),
                         VIRTIO_RNG_BAD_VALUE);
        free(text);
    }
    assert_int_equal(virtio_rng_parse("off\0", 4, &source),
                     VIRTIO_RNG_BAD_VALUE);
    assert_int_equal(virtio_rng_parse("random\0x", 8, &source),
                     VIRTIO_RNG_BAD_VALUE);
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

/* Builds after a command line in the form of /proc/PID/cmdline. */
static struct virtio_rng_argv build(const char *value, const char *cmdline,
                                    size_t length)
{
    struct virtio_rng_argv argv;
    char *copy = malloc(length + (length == 0)); /* for ASan, as above */

    assert_non_null(copy);
    memcpy(copy, cmdline, length);
    assert_int_equal(
        virtio_rng_build(source_of(value), copy, length, 0, &argv),
        VIRTIO_RNG_OK);
    free(copy);
    return argv;
}

#define BUILD(value, cmdline) build(value, cmdline, sizeof(cmdline))

static void build_is_the_contract(void **state)
{
    struct virtio_rng_argv argv;

    (void)state;
    argv = build("random", "", 0);
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng0");
    assert_string_equal(argv.device,
                        "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000");
    argv = build("urandom", "", 0);
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/urandom,id=rng0");
    assert_string_equal(argv.device,
                        "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000");
    argv = build("off", "", 0);
    assert_string_equal(argv.object, "");
    assert_string_equal(argv.device, "");
}

static void build_places_the_device(void **state)
{
    struct virtio_rng_argv argv;

    (void)state;
    for (unsigned int slot = 1; slot <= VIRTIO_RNG_MAX_PCI_SLOT; slot++) {
        char expected[96];

        snprintf(expected, sizeof(expected),
                 "virtio-rng-pci,rng=rng0,max-bytes=1024,period=1000"
                 ",bus=pci.0,addr=0x%x",
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
    };
    char cmdline[256];

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        for (size_t j = 0; j < sizeof(values) / sizeof(values[0]); j++) {
            int length = snprintf(cmdline, sizeof(cmdline), "kvm%c%s%c%s%c-S",
                                  0, options[i], 0, values[j], 0);
            struct virtio_rng_argv argv =
                build("random", cmdline, (size_t)length + 1);

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
        LINE("kvm\0-object"),
        LINE("kvm\0-device"),
        LINE("\0\0"),
    };

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        struct virtio_rng_argv argv =
            build("random", others[i].text, others[i].length);
        if (!argv.object[0]) {
            fail_msg("no generator beside line %zu", i);
        }
        assert_string_equal(argv.object,
                            "rng-random,filename=/dev/random,id=rng0");
    }
}

static void build_takes_the_first_free_id(void **state)
{
    struct virtio_rng_argv argv;

    (void)state;
    argv = BUILD("random", "kvm\0-object\0rng-random,id=rng0");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng1");
    assert_string_equal(argv.device,
                        "virtio-rng-pci,rng=rng1,max-bytes=1024,period=1000");
    argv = BUILD("random", "kvm\0-object\0id=rng1,qom-type=secret\0--object\0"
                           "{\"qom-type\":\"secret\",\"id\":\"rng0\"}");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng2");
    argv = BUILD("random", "kvm\0-object\0iothread,id=rng1");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng0");
    /* a doubled comma is part of a value, here of a secret */
    argv = BUILD("random", "kvm\0-object\0secret,id=rng0,data=a,,id=b");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng1");
    argv = BUILD("random", "kvm\0-object\0secret,id=a,data=b,,id=rng0");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng0");
    /* QEMU takes the first of two ids, but the last of two drivers */
    argv = BUILD("random", "kvm\0-object\0rng-builtin,id=rng0,id=a");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng1");
    /* an id of a device is no id of an object; nor are these rng0 */
    argv = BUILD("random",
                 "-device\0e1000,id=rng0\0-object\0a,id=rng00\0-object\0"
                 "a,id=rng\0-object\0a,id=xrng0\0-object\0a,id=rng0x\0-object\0"
                 "a,xid=rng0\0-object\0rng0\0-object\0a,id=rng9999999999");
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/random,id=rng0");
}

static void build_passes_over_hundreds_of_ids(void **state)
{
    const unsigned int objects = 500;
    char *cmdline = malloc(objects * 32), *end = cmdline;
    struct virtio_rng_argv argv;

    (void)state;
    assert_non_null(cmdline);
    for (unsigned int i = 0; i < objects; i++) {
        end += sprintf(end, "-object%ca,id=rng%u", 0, i) + 1;
    }
    argv = build("urandom", cmdline, (size_t)(end - cmdline));
    assert_string_equal(argv.object,
                        "rng-random,filename=/dev/urandom,id=rng500");
    free(cmdline);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_the_specification),
        cmocka_unit_test(parse_takes_nothing_else),
        cmocka_unit_test(check_device_of_this_machine),
        cmocka_unit_test(check_device_refuses),
        cmocka_unit_test(build_is_the_contract),
        cmocka_unit_test(build_places_the_device),
        cmocka_unit_test(build_refuses_a_device_that_does_not_fit),
        cmocka_unit_test(build_sees_a_generator_that_is_there),
        cmocka_unit_test(build_is_not_deceived),
        cmocka_unit_test(build_takes_the_first_free_id),
        cmocka_unit_test(build_passes_over_hundreds_of_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
