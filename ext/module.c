/*
 * ganeti_virtio_rng._core: the core as a Python module.
 *
 * Converts, raises, and nothing else.  Only what the limited API of Python 3.6
 * has is used, so that one build serves every Python from 3.6 on (PEP 384).
 */

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <errno.h>
#include <limits.h>

#include "cmdline.h"
#include "virtio_rng.h"

/* The strings of VALUES, of which each module has its own. */
struct state {
    PyObject *values[VIRTIO_RNG_VALUES];
};

/* Not Py_RETURN_TRUE: since 3.12 it counts no reference, as these objects live
 * forever there, and before 3.12 they don't. */
static PyObject *new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
}

static PyObject *set_bad_value(PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "Parameter '%s' must be a string, not %R",
                     VIRTIO_RNG_PARAMETER, Py_TYPE(value));
        return NULL;
    }
    PyErr_Format(PyExc_ValueError,
                 "Parameter '%s' fails syntax check: The value must be one of:"
                 " %s, %s, %s (current value: '%U')", VIRTIO_RNG_PARAMETER,
                 virtio_rng_sources[0].value, virtio_rng_sources[1].value,
                 virtio_rng_sources[2].value, value);
    return NULL;
}

/*
 * The exception for a status that is not VIRTIO_RNG_OK; returns NULL.  The
 * argument is the one that the status blames, if it blames one.
 */
static PyObject *set_error(enum virtio_rng_status status,
                           const struct virtio_rng_source *source,
                           PyObject *argument)
{
    PyObject *error;

    switch (status) {
    case VIRTIO_RNG_BAD_SLOT:
        PyErr_Format(PyExc_ValueError,
                     "Parameter '%s' can't be applied: The PCI slot must be"
                     " from 1 to %d (current value: '%S')",
                     VIRTIO_RNG_PARAMETER, VIRTIO_RNG_MAX_PCI_SLOT, argument);
        break;
    case VIRTIO_RNG_WRONG_DEVICE:
        error = PyObject_CallFunction(PyExc_OSError, "iss", ENODEV,
                                      "Not Linux's random number generator",
                                      source->device);
        if (error) {
            PyErr_SetObject(PyExc_OSError, error);
            Py_DECREF(error);
        }
        break;
    case VIRTIO_RNG_OK: /* not asked for */
    case VIRTIO_RNG_ERRNO:
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, source->device);
        break;
    }
    return NULL;
}

/* 0 for what is no string.  PyUnicode_Check alone is a call, so it's second. */
static Py_ssize_t length_of(PyObject *item)
{
    return PyUnicode_CheckExact(item) || PyUnicode_Check(item)
               ? PyUnicode_GetLength(item)
               : 0;
}

/* NULL, and no exception, for an object that is none of the values. */
static const struct virtio_rng_source *find_source(PyObject *value)
{
    const size_t length = (size_t)length_of(value);

    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        const struct virtio_rng_source *source = &virtio_rng_sources[i];

        /* As it is: to convert it, or to compare it thrice, takes longer. */
        if (length == source->length &&
            PyUnicode_CompareWithASCIIString(value, source->value) == 0) {
            return source;
        }
    }
    return NULL;
}

static bool has_dash(PyObject *item)
{
    return length_of(item) > 0 && PyUnicode_ReadChar(item, 0) == '-';
}

/* True for -device, -object and -set, with a dash or two; false for most. */
static bool may_matter(PyObject *item)
{
    Py_ssize_t length = length_of(item);
    Py_UCS4 third; /* from the end */

    if (length != 4 && length != 5 && length != 7 && length != 8) {
        return false;
    }
    third = PyUnicode_ReadChar(item, length - 3);
    return length < 6 ? third == 's' : third == 'i' || third == 'e';
}

/*
 * Appends what build_argv needs: to convert all of a command line takes twice
 * as long.  What follows an item without a dash is never a value, so these
 * runs read as they do in the whole: items with a dash of which one may
 * matter, up to and with the next without.  Ganeti's command line has numbers
 * in it, which can't name a device: they become empty.
 */
static int append_needed(PyObject *needed, PyObject *list, bool all)
{
    PyObject *empty = PyUnicode_FromString("");
    Py_ssize_t length = PyList_Size(list), end = all ? length : 0;
    int result = empty ? 0 : -1;

    for (Py_ssize_t i = 0; result == 0 && i < length; i++) {
        PyObject *item = PyList_GetItem(list, i); /* borrowed */

        if (i >= end) {
            if (!may_matter(item)) {
                continue;
            }
            for (end = i + 1; end < length; end++) {
                if (!has_dash(PyList_GetItem(list, end - 1))) {
                    break;
                }
            }
            while (i > 0 && has_dash(PyList_GetItem(list, i - 1))) {
                i--;
            }
            item = PyList_GetItem(list, i);
        }
        result = PyList_Append(needed, PyUnicode_Check(item) ? item : empty);
    }
    Py_XDECREF(empty);
    return result;
}

/*
 * A list of the items that nobody changes meanwhile: a copy, or itself where
 * only one thread runs and the list has no methods but Python's.
 */
static PyObject *own_list(PyObject *kvm_cmd)
{
#ifndef Py_GIL_DISABLED
    if (PyList_CheckExact(kvm_cmd)) {
        return new_reference(kvm_cmd);
    }
#endif
    return PySequence_List(kvm_cmd);
}

/*
 * The list or tuple, or what build_argv needs of it, as it would stand in
 * /proc/PID/cmdline: a new bytes object, or NULL and an exception.
 */
static PyObject *encode_cmdline(PyObject *kvm_cmd, bool all)
{
    PyObject *list, *needed, *nul, *joined = NULL, *bytes = NULL;

    if (!PyList_Check(kvm_cmd) && !PyTuple_Check(kvm_cmd)) {
        PyErr_Format(PyExc_TypeError,
                     "kvm_cmd must be a list or a tuple, not %R",
                     Py_TYPE(kvm_cmd));
        return NULL;
    }
    list = own_list(kvm_cmd);
    needed = PyList_New(0);
    nul = PyUnicode_FromStringAndSize("", 1);
    if (list && needed && nul && append_needed(needed, list, all) == 0) {
        joined = PyUnicode_Join(nul, needed);
    }
    if (joined) {
        /* A path that is not UTF-8 has surrogates, and is no error here. */
        bytes = PyUnicode_AsEncodedString(joined, "utf-8", "surrogatepass");
    }
    Py_XDECREF(list);
    Py_XDECREF(needed);
    Py_XDECREF(nul);
    Py_XDECREF(joined);
    return bytes;
}

/* What is no slot becomes UINT_MAX, for the core to refuse. */
static int convert_pci_slot(PyObject *object, unsigned int *pci_slot)
{
    int overflow;
    long slot;

    if (object == Py_None) {
        *pci_slot = 0;
        return 0;
    }
    if (!PyLong_Check(object) || PyBool_Check(object)) {
        PyErr_Format(PyExc_TypeError,
                     "pci_slot must be an int or None, not %R",
                     Py_TYPE(object));
        return -1;
    }
    slot = PyLong_AsLongAndOverflow(object, &overflow);
    *pci_slot = overflow || slot <= 0 || slot > INT_MAX ? UINT_MAX
                                                        : (unsigned int)slot;
    return 0;
}

/*
 * A new list of four strings, or of none; or NULL and an exception.  By
 * Py_BuildValue, build_argv would take a tenth longer.
 */
static PyObject *argv_list(const struct virtio_rng_argv *argv)
{
    const char *const texts[] = {"-object", argv->object, "-device",
                                 argv->device};
    const Py_ssize_t length = argv->object[0] ? 4 : 0;
    PyObject *list = PyList_New(length);

    if (!list) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *text = PyUnicode_FromString(texts[i]);

        /* PyList_SetItem takes the text, also when it fails. */
        if (!text || PyList_SetItem(list, i, text) < 0) {
            Py_DECREF(list);
            return NULL;
        }
    }
    return list;
}

PyDoc_STRVAR(check_doc,
"check($module, value, /)\n"
"--\n"
"\n"
"Whether the value is one that virtio_rng takes.\n"
"\n"
"@type value: any\n"
"@rtype: bool\n"
"@return: True for exactly the strings in VALUES; nothing else is taken,\n"
"  and nothing raises");

static PyObject *check(PyObject *module, PyObject *value)
{
    struct state *state = PyModule_GetState(module);

    /* Defaults and literals are the very strings: that takes half the time. */
    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        if (value == state->values[i]) {
            return new_reference(Py_True);
        }
    }
    return new_reference(find_source(value) ? Py_True : Py_False);
}

PyDoc_STRVAR(check_source_doc,
"check_source($module, value, /)\n"
"--\n"
"\n"
"Checks, on the node, the host device that a value makes QEMU read.\n"
"\n"
"It must open for reading and be one of Linux's generators: character\n"
"device 1:8 or 1:9 (Linux, Documentation/admin-guide/devices.txt). QEMU\n"
"aborts or spins on other files. For \"off\" there is nothing to check.\n"
"\n"
"@type value: str\n"
"@raise OSError: with errno, a text and the path\n"
"@raise ValueError: when the value isn't one of VALUES\n"
"@raise TypeError: when the value isn't a str");

static PyObject *check_source(PyObject *module, PyObject *value)
{
    const struct virtio_rng_source *source = find_source(value);
    enum virtio_rng_status status;

    (void)module;
    if (!source) {
        return set_bad_value(value);
    }
    status = virtio_rng_check_device(source);
    if (status != VIRTIO_RNG_OK) {
        return set_error(status, source, NULL);
    }
    return new_reference(Py_None);
}

PyDoc_STRVAR(build_argv_doc,
"build_argv($module, /, value, kvm_cmd=(), pci_slot=None)\n"
"--\n"
"\n"
"The arguments that give the guest its random number generator.\n"
"\n"
"@type value: str\n"
"@param value: one of VALUES\n"
"@type kvm_cmd: list or tuple\n"
"@param kvm_cmd: the QEMU command line so far; items that aren't str are\n"
"  passed over\n"
"@type pci_slot: int or None\n"
"@param pci_slot: slot on the bus pci.0, from 1 to 31; None leaves the\n"
"  choice to QEMU\n"
"@rtype: list of str\n"
"@return: a new list to append to kvm_cmd: an -object and its -device, whose\n"
"  id is free there, limited to MAX_BYTES in PERIOD; empty for \"off\" and\n"
"  where kvm_cmd adds a virtio-rng device already\n"
"@raise ValueError: when the value isn't one of VALUES, or the slot none\n"
"@raise TypeError: when an argument has the wrong type");

static PyObject *build_argv(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *names[] = {"value", "kvm_cmd", "pci_slot", NULL};
    PyObject *value, *kvm_cmd = NULL, *slot_object = Py_None;
    PyObject *cmdline = NULL, *list = NULL;
    const struct virtio_rng_source *source;
    enum virtio_rng_status status;
    struct virtio_rng_argv argv;
    unsigned int pci_slot;
    Py_ssize_t length = 0;
    char *text = "";
    int parsed;

    (void)module;
    /* PyArg_UnpackTuple takes half the time, and does for Ganeti's calls. */
    parsed = kwargs ? PyArg_ParseTupleAndKeywords(
                          args, kwargs, "O|OO:build_argv", names, &value,
                          &kvm_cmd, &slot_object)
                    : PyArg_UnpackTuple(args, "build_argv", 1, 3, &value,
                                        &kvm_cmd, &slot_object);
    if (!parsed) {
        return NULL;
    }
    source = find_source(value);
    if (!source) {
        return set_bad_value(value);
    }
    if (convert_pci_slot(slot_object, &pci_slot) < 0) {
        return NULL;
    }
    if (kvm_cmd) {
        cmdline = encode_cmdline(kvm_cmd, false);
        if (!cmdline || PyBytes_AsStringAndSize(cmdline, &text, &length) < 0) {
            goto free_cmdline;
        }
    }

    status = virtio_rng_build(source, text, (size_t)length, pci_slot, &argv);
    list = status == VIRTIO_RNG_OK ? argv_list(&argv)
                                   : set_error(status, source, slot_object);

free_cmdline:
    Py_XDECREF(cmdline);
    return list;
}

/* What a text of the command line stands for, by way of a buffer for it. */
static PyObject *text_object(struct cmdline_text text, char *buffer)
{
    size_t length = cmdline_decode(text, buffer, text.span.length);

    if (text.form == CMDLINE_NUMBER) {
        buffer[length] = '\0';
        return PyLong_FromString(buffer, NULL, 10);
    }
    return PyUnicode_DecodeUTF8(buffer, (Py_ssize_t)length, "surrogatepass");
}

static PyObject *key_object(const struct cmdline_property *property,
                            PyObject *prefix, char *buffer)
{
    PyObject *key = property->key.span.text
                        ? text_object(property->key, buffer)
                        : PyUnicode_FromFormat("%zu", property->index);
    PyObject *dotted;

    if (!key || !prefix) {
        return key;
    }
    dotted = PyUnicode_FromFormat("%U.%U", prefix, key);
    Py_DECREF(key);
    return dotted;
}

/* Deeper in JSON than any property of QEMU; what is there is left out. */
#define MAX_DEPTH 16

static int add_properties(PyObject *dict, struct cmdline_properties at,
                          PyObject *prefix, char *buffer, int depth)
{
    struct cmdline_property property;
    int result = 0;

    while (result == 0 && cmdline_next_property(&at, &property)) {
        const enum cmdline_form form = property.value.form;
        PyObject *key, *value;

        if (property.ignored || depth == MAX_DEPTH) {
            continue;
        }
        key = key_object(&property, prefix, buffer);
        if (!key) {
            return -1;
        }
        if (form == CMDLINE_OBJECT || form == CMDLINE_ARRAY) {
            result = add_properties(dict, cmdline_members(property.value), key,
                                    buffer, depth + 1);
        } else {
            value = text_object(property.value, buffer);
            result = value ? PyDict_SetItem(dict, key, value) : -1;
            Py_XDECREF(value);
        }
        Py_DECREF(key);
    }
    return result;
}

static int append_option(PyObject *list, const struct cmdline_option *option,
                         char *buffer)
{
    PyObject *dict = PyDict_New(), *pair = NULL;
    int result = -1;

    if (dict && add_properties(dict, cmdline_properties(option), NULL, buffer,
                               0) == 0) {
        pair = Py_BuildValue("(sO)", option->name, dict);
    }
    if (pair) {
        result = PyList_Append(list, pair);
    }
    Py_XDECREF(dict);
    Py_XDECREF(pair);
    return result;
}

PyDoc_STRVAR(read_options_doc,
"read_options($module, kvm_cmd, /)\n"
"--\n"
"\n"
"What a QEMU command line says of objects, devices, drives, the machine and\n"
"the network, as QEMU reads it.\n"
"\n"
"Of duplicate properties the last counts, of duplicate ids the first. What\n"
"QEMU would refuse is read as far as it goes.\n"
"\n"
"@type kvm_cmd: list or tuple\n"
"@param kvm_cmd: it begins with the program or with an option; items that\n"
"  aren't str are passed over\n"
"@rtype: list of (str, dict)\n"
"@return: in their order, device, object, drive, machine (-M as well),\n"
"  netdev, nic, net, virtfs, fsdev, watchdog, soundhw, audio, vga and\n"
"  readconfig, each with its properties, also from -set: str, or int where\n"
"  JSON has a number. The first value has its implied key, for watchdog,\n"
"  soundhw and vga \"model\"; a key alone is \"on\", or \"off\" with \"no\"\n"
"  before it, as are true and false of JSON, whose nested keys have dots\n"
"@raise TypeError: when kvm_cmd has the wrong type");

static PyObject *read_options(PyObject *module, PyObject *kvm_cmd)
{
    PyObject *cmdline = encode_cmdline(kvm_cmd, true), *list = NULL;
    struct cmdline_option option;
    struct cmdline rest;
    Py_ssize_t length;
    char *text, *buffer;

    (void)module;
    if (!cmdline || PyBytes_AsStringAndSize(cmdline, &text, &length) < 0) {
        goto free_cmdline;
    }
    /* for any text that is in it, or for a word of QEMU's */
    buffer = PyMem_Malloc((size_t)length + 64);
    if (!buffer) {
        PyErr_NoMemory();
        goto free_cmdline;
    }
    list = PyList_New(0);
    rest = cmdline_open(text, (size_t)length);
    while (list && cmdline_next(&rest, &option)) {
        if (append_option(list, &option, buffer) < 0) {
            Py_DECREF(list);
            list = NULL;
        }
    }
    PyMem_Free(buffer);

free_cmdline:
    Py_XDECREF(cmdline);
    return list;
}

static int exec_module(PyObject *module)
{
    struct state *state = PyModule_GetState(module);
    PyObject *values;

    for (size_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        state->values[i] =
            PyUnicode_InternFromString(virtio_rng_sources[i].value);
        if (!state->values[i]) {
            return -1;
        }
    }
    values = PyTuple_Pack(VIRTIO_RNG_VALUES, state->values[0],
                          state->values[1], state->values[2]);
    if (!values || PyModule_AddObject(module, "VALUES", values) < 0) {
        Py_XDECREF(values); /* taken only on success */
        return -1;
    }
    if (PyModule_AddStringConstant(module, "HV_VIRTIO_RNG",
                                   VIRTIO_RNG_PARAMETER) < 0 ||
        PyModule_AddStringConstant(module, "DEFAULT",
                                   virtio_rng_default->value) < 0 ||
        PyModule_AddIntConstant(module, "MAX_BYTES", VIRTIO_RNG_MAX_BYTES) <
            0 ||
        PyModule_AddIntConstant(module, "PERIOD", VIRTIO_RNG_PERIOD) < 0) {
        return -1;
    }
    return 0;
}

/* No m_traverse: strings are in no cycle of references. */
static void free_module(void *module)
{
    struct state *state = PyModule_GetState(module);

    /* Python before 3.9 calls this also where there is none yet. */
    for (size_t i = 0; state && i < VIRTIO_RNG_VALUES; i++) {
        Py_XDECREF(state->values[i]);
    }
}

static PyMethodDef methods[] = {
    {"check", check, METH_O, check_doc},
    {"check_source", check_source, METH_O, check_source_doc},
    {"build_argv", (PyCFunction)(void (*)(void))build_argv,
     METH_VARARGS | METH_KEYWORDS, build_argv_doc},
    {"read_options", read_options, METH_O, read_options_doc},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, exec_module},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "ganeti_virtio_rng._core",
    .m_doc = "The values of virtio_rng and the QEMU arguments they stand for.",
    .m_size = sizeof(struct state),
    .m_methods = methods,
    .m_slots = slots,
    .m_free = free_module,
};

/* Python.h before 3.9 leaves it hidden under -fvisibility=hidden. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
