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

#include "virtio_rng.h"

/* A new tuple of the three strings, or NULL and an exception. */
static PyObject *values_tuple(void)
{
    PyObject *values = PyTuple_New(VIRTIO_RNG_VALUES);

    if (!values) {
        return NULL;
    }
    for (Py_ssize_t i = 0; i < VIRTIO_RNG_VALUES; i++) {
        PyObject *value = PyUnicode_FromString(virtio_rng_sources[i].value);

        /* PyTuple_SetItem takes the value, also when it fails. */
        if (!value || PyTuple_SetItem(values, i, value) < 0) {
            Py_DECREF(values);
            return NULL;
        }
    }
    return values;
}

static void set_bad_value(PyObject *value)
{
    PyObject *values = NULL, *separator = NULL, *list = NULL;

    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError,
                     "Parameter '%s' must be a string, not %R",
                     VIRTIO_RNG_PARAMETER, Py_TYPE(value));
        return;
    }
    values = values_tuple();
    separator = PyUnicode_FromString(", ");
    if (values && separator) {
        list = PyUnicode_Join(separator, values);
    }
    if (list) {
        PyErr_Format(PyExc_ValueError,
                     "Parameter '%s' fails syntax check: The value must be one"
                     " of: %U (current value: '%U')",
                     VIRTIO_RNG_PARAMETER, list, value);
    }
    Py_XDECREF(values);
    Py_XDECREF(separator);
    Py_XDECREF(list);
}

static void set_wrong_device(const struct virtio_rng_source *source)
{
    PyObject *error;

    error = PyObject_CallFunction(PyExc_OSError, "iss", ENODEV,
                                  "Not Linux's random number generator",
                                  source->device);
    if (error) {
        PyErr_SetObject(PyExc_OSError, error);
        Py_DECREF(error);
    }
}

/*
 * The exception for a status that is not VIRTIO_RNG_OK; returns NULL.  The
 * argument is the one that the status blames, if it blames one.
 */
static PyObject *set_error(enum virtio_rng_status status,
                           const struct virtio_rng_source *source,
                           PyObject *argument)
{
    switch (status) {
    case VIRTIO_RNG_BAD_VALUE:
        set_bad_value(argument);
        break;
    case VIRTIO_RNG_BAD_SLOT:
        PyErr_Format(PyExc_ValueError,
                     "Parameter '%s' can't be applied: The PCI slot must be"
                     " from 1 to %d (current value: '%S')",
                     VIRTIO_RNG_PARAMETER, VIRTIO_RNG_MAX_PCI_SLOT, argument);
        break;
    case VIRTIO_RNG_WRONG_DEVICE:
        set_wrong_device(source);
        break;
    case VIRTIO_RNG_OK: /* not asked for */
    case VIRTIO_RNG_ERRNO:
        PyErr_SetFromErrnoWithFilename(PyExc_OSError, source->device);
        break;
    }
    return NULL;
}

/* Sets no exception: an object that is no value is an answer, not an error. */
static enum virtio_rng_status
parse(PyObject *value, const struct virtio_rng_source **source)
{
    wchar_t wide[VIRTIO_RNG_MAX_VALUE_LENGTH + 1];
    char text[VIRTIO_RNG_MAX_VALUE_LENGTH];
    Py_ssize_t length;

    if (!PyUnicode_Check(value)) {
        return VIRTIO_RNG_BAD_VALUE;
    }
    /* One character too many comes along if the string is too long. */
    length =
        PyUnicode_AsWideChar(value, wide, VIRTIO_RNG_MAX_VALUE_LENGTH + 1);
    if (length < 0 || length > VIRTIO_RNG_MAX_VALUE_LENGTH) {
        PyErr_Clear(); /* before Python 3.8, there may be no memory for it */
        return VIRTIO_RNG_BAD_VALUE;
    }
    for (Py_ssize_t i = 0; i < length; i++) {
        if (wide[i] > 127) {
            return VIRTIO_RNG_BAD_VALUE;
        }
        text[i] = (char)wide[i];
    }
    return virtio_rng_parse(text, (size_t)length, source);
}

/* As long as "-device", "--device", "-object" or "--object". */
static bool may_be_option(PyObject *item)
{
    Py_ssize_t length = PyUnicode_Check(item) ? PyUnicode_GetLength(item) : 0;

    return length == 7 || length == 8;
}

/*
 * What may be an option in the list or tuple, each with its value, as it would
 * stand in /proc/PID/cmdline: a new bytes object, or NULL and an exception.
 * To convert all of a command line takes twice as long.  Ganeti's has
 * numbers in it, which can't name a device: they become empty.
 */
static PyObject *encode_cmdline(PyObject *kvm_cmd)
{
    PyObject *list, *options = NULL, *empty = NULL, *nul = NULL;
    PyObject *joined = NULL, *bytes = NULL;
    Py_ssize_t length;
    bool is_value = false;

    if (!PyList_Check(kvm_cmd) && !PyTuple_Check(kvm_cmd)) {
        PyErr_Format(PyExc_TypeError,
                     "kvm_cmd must be a list or a tuple, not %R",
                     Py_TYPE(kvm_cmd));
        return NULL;
    }
    list = PySequence_List(kvm_cmd); /* a copy, so nobody else changes it */
    if (!list) {
        return NULL;
    }
    options = PyList_New(0);
    empty = PyUnicode_FromString("");
    nul = PyUnicode_FromStringAndSize("", 1);
    if (!options || !empty || !nul) {
        goto free_all;
    }

    length = PyList_Size(list);
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *item = PyList_GetItem(list, i); /* borrowed */
        bool is_option = may_be_option(item);

        if ((is_option || is_value) &&
            PyList_Append(options, PyUnicode_Check(item) ? item : empty) < 0) {
            goto free_all;
        }
        is_value = is_option;
    }
    joined = PyUnicode_Join(nul, options);
    if (joined) {
        /* A path that is not UTF-8 has surrogates, and is no error here. */
        bytes = PyUnicode_AsEncodedString(joined, "utf-8", "surrogatepass");
    }

free_all:
    Py_DECREF(list);
    Py_XDECREF(options);
    Py_XDECREF(empty);
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

/* A new list of four strings, or of none; or NULL and an exception. */
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

/* Not Py_RETURN_TRUE: since 3.12 it counts no reference, as these objects live
 * forever there, and before 3.12 they don't. */
static PyObject *new_reference(PyObject *object)
{
    Py_INCREF(object);
    return object;
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
    const struct virtio_rng_source *source;

    (void)module;
    if (parse(value, &source) != VIRTIO_RNG_OK) {
        return new_reference(Py_False);
    }
    return new_reference(Py_True);
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
    const struct virtio_rng_source *source = NULL;
    enum virtio_rng_status status = parse(value, &source);

    (void)module;
    if (status == VIRTIO_RNG_OK) {
        status = virtio_rng_check_device(source);
    }
    if (status != VIRTIO_RNG_OK) {
        return set_error(status, source, value);
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
"@return: a new list to append to kvm_cmd: an -object whose id is free there\n"
"  and its -device, limited to MAX_BYTES in PERIOD; empty for \"off\" and\n"
"  where kvm_cmd adds a virtio-rng device already\n"
"@raise ValueError: when the value isn't one of VALUES, or the slot none\n"
"@raise TypeError: when an argument has the wrong type");

static PyObject *build_argv(PyObject *module, PyObject *args, PyObject *kwargs)
{
    char *names[] = {"value", "kvm_cmd", "pci_slot", NULL};
    PyObject *value, *kvm_cmd = NULL, *slot_object = Py_None;
    PyObject *cmdline = NULL, *list = NULL;
    const struct virtio_rng_source *source = NULL;
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
    status = parse(value, &source);
    if (status != VIRTIO_RNG_OK) {
        return set_error(status, source, value);
    }
    if (convert_pci_slot(slot_object, &pci_slot) < 0) {
        return NULL;
    }
    if (kvm_cmd) {
        cmdline = encode_cmdline(kvm_cmd);
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

static int add_object(PyObject *module, const char *name, PyObject *object)
{
    if (!object) {
        return -1;
    }
    if (PyModule_AddObject(module, name, object) < 0) {
        Py_DECREF(object); /* taken only on success */
        return -1;
    }
    return 0;
}

static int exec_module(PyObject *module)
{
    if (PyModule_AddStringConstant(module, "HV_VIRTIO_RNG",
                                   VIRTIO_RNG_PARAMETER) < 0 ||
        PyModule_AddStringConstant(module, "DEFAULT",
                                   virtio_rng_default->value) < 0 ||
        PyModule_AddIntConstant(module, "MAX_BYTES", VIRTIO_RNG_MAX_BYTES) <
            0 ||
        PyModule_AddIntConstant(module, "PERIOD", VIRTIO_RNG_PERIOD) < 0) {
        return -1;
    }
    return add_object(module, "VALUES", values_tuple());
}

static PyMethodDef methods[] = {
    {"check", check, METH_O, check_doc},
    {"check_source", check_source, METH_O, check_source_doc},
    {"build_argv", (PyCFunction)(void (*)(void))build_argv,
     METH_VARARGS | METH_KEYWORDS, build_argv_doc},
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
    .m_methods = methods,
    .m_slots = slots,
};

/* Python.h before 3.9 leaves it hidden under -fvisibility=hidden. */
__attribute__((visibility("default"))) PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&definition);
}
