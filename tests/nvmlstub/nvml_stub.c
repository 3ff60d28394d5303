/* A libnvidia-ml.so.1 without a GPU, for tests: says what a text file tells it to say.
 *
 * NVML_STUB names the file. Each line is a key, a space and a value; it is read again whenever it
 * has been replaced, so that a test can change the world while the library is in use:
 *
 *   gpus 8                        number of devices
 *   0.util 87 41                  what device 0 answers; a key that is missing is NOT_SUPPORTED
 *   0.field.94 3 7                field value: nvmlValueType_t and value, or "error CODE"
 *   0.compute 4242:1048576 ...    process list: pid:bytes ("-" for bytes: not available)
 *   0.busy 4242:900:37 ...        samples of use: pid:time in microseconds:percent
 *   0.fabric 3 0 7                state, status and clique of the NVLink fabric
 *   0.certificate abc             certificate chain of the device
 *   fail.nvmlInitWithFlags 18     the function returns this nvmlReturn_t
 *   0.fail.nvmlDeviceGetName 15   the same for one device; "0.fail 15" for all its functions
 *   0.hang.nvmlDeviceGetName F    the call does not return while the file F exists; also "0.hang F"
 *   0.delay.nvmlDeviceGetName N   the call takes N microseconds
 *   event.1 0 8 79                event of device 0, type 8, data 79; numbers must be 1, 2, 3 ...
 *   wide 1                        process lists, version 3, in the layout of drivers R535.43-.86
 *
 * NVML_STUB_LOG names a file to which each call appends a line "function device".
 * -DWITHOUT_xxx at compile time leaves functions out, as older drivers do.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    OK = 0, UNINITIALIZED = 1, INVALID = 2, NOT_SUPPORTED = 3,
    NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10, VERSION_MISMATCH = 25, UNKNOWN = 999
};
#define MAX_DEVICES 64
#define MAX_VALUE 1024

typedef struct device { int index; } device;
typedef struct { char *key, *value; } entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;
static size_t entry_count;
static char *text;
static struct stat seen;
static int started, events_taken, special; /* special: some function hangs, fails or is slow */
static device devices[MAX_DEVICES];

static int by_key(const void *a, const void *b)
{
    return strcmp(((const entry *)a)->key, ((const entry *)b)->key);
}

static void reload(void)
{
    const char *path = getenv("NVML_STUB");
    struct stat now;
    if (!path || stat(path, &now))
        return;
    if (text && now.st_ino == seen.st_ino && now.st_size == seen.st_size &&
        now.st_mtim.tv_sec == seen.st_mtim.tv_sec && now.st_mtim.tv_nsec == seen.st_mtim.tv_nsec)
        return;
    FILE *file = fopen(path, "r");
    if (!file)
        return;
    free(text);
    free(entries);
    text = calloc(1, (size_t)now.st_size + 1);
    size_t got = fread(text, 1, (size_t)now.st_size, file);
    text[got] = 0;
    fclose(file);
    seen = now;
    size_t lines = 1;
    for (char *p = text; *p; p++)
        lines += *p == '\n';
    entries = calloc(lines, sizeof *entries);
    entry_count = 0;
    special = 0;
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *space = strchr(line, ' ');
        if (!space)
            continue;
        *space = 0;
        special |= strstr(line, "hang") || strstr(line, "fail") || strstr(line, "delay");
        entries[entry_count++] = (entry){line, space + 1};
    }
    qsort(entries, entry_count, sizeof *entries, by_key);
}

/* Value of KEY, of device INDEX unless that is negative; copied into OUT. */
static int look(int index, const char *key, char *out)
{
    char full[256];
    if (index >= 0)
        snprintf(full, sizeof full, "%d.%s", index, key);
    else
        snprintf(full, sizeof full, "%s", key);
    pthread_mutex_lock(&lock);
    entry wanted = {full, 0};
    entry *hit = bsearch(&wanted, entries, entry_count, sizeof *entries, by_key);
    if (hit)
        snprintf(out, MAX_VALUE, "%s", hit->value);
    pthread_mutex_unlock(&lock);
    return hit != NULL;
}

static void refresh(void)
{
    pthread_mutex_lock(&lock);
    reload();
    pthread_mutex_unlock(&lock);
}

static void hang(int index, const char *key)
{
    char path[MAX_VALUE];
    while (look(index, key, path) && access(path, F_OK) == 0) {
        usleep(5000);
        refresh();
    }
}

/* What every function does first: log, hang, fail. */
static int enter(const char *function, int index)
{
    char key[200], value[MAX_VALUE];
    const char *log = getenv("NVML_STUB_LOG");
    if (log) {
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
        if (fd >= 0) {
            dprintf(fd, "%s %d\n", function, index);
            close(fd);
        }
    }
    refresh();
    if (!special)
        return !started && strncmp(function, "nvmlInit", 8) != 0 ? UNINITIALIZED : OK;
    snprintf(key, sizeof key, "hang.%s", function);
    hang(-1, key);
    if (index >= 0) {
        hang(index, key);
        hang(index, "hang");
        snprintf(key, sizeof key, "delay.%s", function);
        if (look(index, key, value))
            usleep((useconds_t)atoi(value));
    }
    snprintf(key, sizeof key, "fail.%s", function);
    if (look(-1, key, value))
        return atoi(value);
    if (index >= 0 && (look(index, key, value) || look(index, "fail", value)))
        return atoi(value);
    if (!started && strncmp(function, "nvmlInit", 8) != 0)
        return UNINITIALIZED;
    return OK;
}

#define ENTER(index) do { int code_ = enter(__func__, index); if (code_) return code_; } while (0)
#define DEVICE(d) ENTER((d)->index)

/* Numbers of a value into OUT; how many there are. */
static int numbers(int index, const char *key, unsigned long long *out, int most)
{
    char value[MAX_VALUE], *rest = value, *word;
    int count = 0;
    if (!look(index, key, value))
        return 0;
    while (count < most && (word = strsep(&rest, " ")))
        if (*word)
            out[count++] = strtoull(word, 0, 0);
    return count;
}

static int words(int index, const char *key, unsigned *a, unsigned *b)
{
    unsigned long long got[2];
    int count = numbers(index, key, got, 2);
    if (count < (b ? 2 : 1))
        return NOT_SUPPORTED;
    *a = (unsigned)got[0];
    if (b)
        *b = (unsigned)got[1];
    return OK;
}

static int string(int index, const char *key, char *out, unsigned size)
{
    char value[MAX_VALUE];
    if (!look(index, key, value))
        return NOT_SUPPORTED;
    if (strlen(value) + 1 > size)
        return INSUFFICIENT_SIZE;
    strcpy(out, value);
    return OK;
}

/* ---- the library ---- */

int nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    ENTER(-1);
    pthread_mutex_lock(&lock);
    started++;
    pthread_mutex_unlock(&lock);
    return OK;
}

int nvmlShutdown(void)
{
    ENTER(-1);
    pthread_mutex_lock(&lock);
    started--;
    pthread_mutex_unlock(&lock);
    return OK;
}

const char *nvmlErrorString(int code)
{
    return code == UNKNOWN ? "Unknown Error" : "stub error";
}

int nvmlSystemGetDriverVersion(char *out, unsigned size) { ENTER(-1); return string(-1, "driver", out, size); }
int nvmlSystemGetNVMLVersion(char *out, unsigned size) { ENTER(-1); return string(-1, "nvml", out, size); }
int nvmlSystemGetCudaDriverVersion_v2(int *out) { ENTER(-1); return words(-1, "cuda", (unsigned *)out, 0); }

#ifndef WITHOUT_CC
typedef struct { unsigned environment, feature, dev_tools; } cc_state;
typedef struct { unsigned version, environment, feature, dev_tools, multi_gpu; } cc_settings;

static int cc(cc_state *out)
{
    unsigned long long got[3];
    if (numbers(-1, "cc", got, 3) != 3)
        return NOT_SUPPORTED;
    *out = (cc_state){(unsigned)got[0], (unsigned)got[1], (unsigned)got[2]};
    return OK;
}

int nvmlSystemGetConfComputeState(cc_state *out) { ENTER(-1); return cc(out); }

int nvmlSystemGetConfComputeSettings(cc_settings *out)
{
    ENTER(-1);
    if (out->version != (0x1000000u | sizeof *out))
        return VERSION_MISMATCH;
    cc_state state;
    if (cc(&state))
        return NOT_SUPPORTED;
    out->environment = state.environment;
    out->feature = state.feature;
    out->dev_tools = state.dev_tools;
    return words(-1, "cc.multi", &out->multi_gpu, 0);
}
#endif

int nvmlDeviceGetCount_v2(unsigned *out)
{
    ENTER(-1);
    *out = 0;
    words(-1, "gpus", out, 0);
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **out)
{
    unsigned count = 0;
    ENTER((int)index);
    words(-1, "gpus", &count, 0);
    if (index >= count || index >= MAX_DEVICES)
        return INVALID;
    devices[index].index = (int)index;
    *out = &devices[index];
    return OK;
}

#define TEXT(name, key) \
    int name(device *d, char *out, unsigned size) { DEVICE(d); return string(d->index, key, out, size); }
#define ONE(name, key) \
    int name(device *d, unsigned *out) { DEVICE(d); return words(d->index, key, out, 0); }
#define TWO(name, key) \
    int name(device *d, unsigned *a, unsigned *b) { DEVICE(d); return words(d->index, key, a, b); }

TEXT(nvmlDeviceGetName, "name")
TEXT(nvmlDeviceGetUUID, "uuid")
TEXT(nvmlDeviceGetSerial, "serial")
TEXT(nvmlDeviceGetVbiosVersion, "vbios")
TEXT(nvmlDeviceGetInforomImageVersion, "inforom")
ONE(nvmlDeviceGetInforomConfigurationChecksum, "inforom.checksum")
ONE(nvmlDeviceGetMinorNumber, "minor")
ONE(nvmlDeviceGetPowerUsage, "power")
ONE(nvmlDeviceGetPowerManagementLimit, "power.limit")
ONE(nvmlDeviceGetEnforcedPowerLimit, "power.enforced")
TWO(nvmlDeviceGetPowerManagementLimitConstraints, "power.range")
TWO(nvmlDeviceGetEncoderUtilization, "encoder")
TWO(nvmlDeviceGetDecoderUtilization, "decoder")
TWO(nvmlDeviceGetMigMode, "mig")
TWO(nvmlDeviceGetEccMode, "ecc")
ONE(nvmlDeviceGetPersistenceMode, "persistence")
ONE(nvmlDeviceGetComputeMode, "compute_mode")
ONE(nvmlDeviceGetAccountingMode, "accounting")
ONE(nvmlDeviceGetDisplayActive, "display")
ONE(nvmlDeviceGetCurrPcieLinkGeneration, "pcie.gen")
ONE(nvmlDeviceGetMaxPcieLinkGeneration, "pcie.gen.max")
ONE(nvmlDeviceGetCurrPcieLinkWidth, "pcie.width")
ONE(nvmlDeviceGetMaxPcieLinkWidth, "pcie.width.max")

typedef struct { unsigned gpu, memory; } utilisation;

int nvmlDeviceGetUtilizationRates(device *d, utilisation *out)
{
    DEVICE(d);
    return words(d->index, "util", &out->gpu, &out->memory);
}

#ifndef WITHOUT_GSP
int nvmlDeviceGetGspFirmwareVersion(device *d, char *out) { DEVICE(d); return string(d->index, "gsp", out, 64); }
TWO(nvmlDeviceGetGspFirmwareMode, "gsp.mode")
#endif

static int memory(device *d, unsigned long long *total, unsigned long long *reserved,
                  unsigned long long *used)
{
    unsigned long long got[3];
    if (numbers(d->index, "memory", got, 3) != 3)
        return NOT_SUPPORTED;
    *total = got[0];
    *reserved = got[1];
    *used = got[2];
    return OK;
}

typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;

int nvmlDeviceGetMemoryInfo(device *d, memory_v1 *out)
{
    unsigned long long reserved;
    DEVICE(d);
    int code = memory(d, &out->total, &reserved, &out->used);
    if (!code) {
        out->used += reserved; /* as the first version counts */
        out->free = out->total - out->used;
    }
    return code;
}

#ifndef WITHOUT_MEMORY_V2
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *out)
{
    DEVICE(d);
    if (out->version != (0x2000000u | sizeof *out))
        return VERSION_MISMATCH;
    int code = memory(d, &out->total, &out->reserved, &out->used);
    if (!code)
        out->free = out->total - out->used - out->reserved;
    return code;
}
#endif

typedef struct { unsigned long long total, free, used; } bar1;

int nvmlDeviceGetBAR1MemoryInfo(device *d, bar1 *out)
{
    unsigned long long got[2];
    DEVICE(d);
    if (numbers(d->index, "bar1", got, 2) != 2)
        return NOT_SUPPORTED;
    *out = (bar1){got[0], got[0] - got[1], got[1]};
    return OK;
}

#ifndef WITHOUT_TEMPERATURE
int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *out)
{
    (void)sensor;
    DEVICE(d);
    return words(d->index, "temp", out, 0);
}
#endif

typedef struct { unsigned version, sensor; int temperature; } temperature_v1;

int nvmlDeviceGetTemperatureV(device *d, temperature_v1 *out)
{
    DEVICE(d);
    if (out->version != (0x1000000u | sizeof *out))
        return VERSION_MISMATCH;
    return words(d->index, "temp", (unsigned *)&out->temperature, 0);
}

int nvmlDeviceGetTemperatureThreshold(device *d, int kind, unsigned *out)
{
    char key[40];
    DEVICE(d);
    snprintf(key, sizeof key, "threshold.%d", kind);
    return words(d->index, key, out, 0);
}

int nvmlDeviceGetClockInfo(device *d, int kind, unsigned *out)
{
    char key[40];
    DEVICE(d);
    snprintf(key, sizeof key, "clock.%d", kind);
    return words(d->index, key, out, 0);
}

static int reasons(device *d, unsigned long long *out)
{
    return numbers(d->index, "reasons", out, 1) == 1 ? OK : NOT_SUPPORTED;
}

#ifndef WITHOUT_EVENT_REASONS
int nvmlDeviceGetCurrentClocksEventReasons(device *d, unsigned long long *out) { DEVICE(d); return reasons(d, out); }
#endif
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *out) { DEVICE(d); return reasons(d, out); }

int nvmlDeviceGetAPIRestriction(device *d, int kind, unsigned *out)
{
    char key[40];
    DEVICE(d);
    snprintf(key, sizeof key, "restricted.%d", kind);
    return words(d->index, key, out, 0);
}

int nvmlDeviceGetNvLinkState(device *d, unsigned link, unsigned *out)
{
    char key[40];
    DEVICE(d);
    snprintf(key, sizeof key, "nvlink.%u", link);
    return words(d->index, key, out, 0);
}

#ifndef WITHOUT_ENCRYPTION
typedef struct { unsigned version, state; } encryption;

int nvmlDeviceGetDramEncryptionMode(device *d, encryption *now, encryption *pending)
{
    DEVICE(d);
    if (now->version != (0x1000000u | sizeof *now) || pending->version != now->version)
        return VERSION_MISMATCH;
    return words(d->index, "encryption", &now->state, &pending->state);
}
#endif

typedef struct {
    char legacy[16];
    unsigned domain, bus, slot, id, subsystem;
    char bus_id[32];
} pci_info;

int nvmlDeviceGetPciInfo_v3(device *d, pci_info *out)
{
    DEVICE(d);
    memset(out, 0, sizeof *out);
    return string(d->index, "pci", out->bus_id, sizeof out->bus_id);
}

#ifndef WITHOUT_FIELDS
typedef struct {
    uint32_t field, scope;
    int64_t timestamp, latency;
    unsigned type;
    int code;
    union { double d; unsigned u; unsigned long ul; unsigned long long ull; long long sll; int i; unsigned short us; } value;
} field_value;

int nvmlDeviceGetFieldValues(device *d, int count, field_value *values)
{
    DEVICE(d);
    for (int i = 0; i < count; i++) {
        char key[60], value[MAX_VALUE];
        field_value *v = &values[i];
        if (v->scope)
            snprintf(key, sizeof key, "field.%u.%u", v->field, v->scope);
        else
            snprintf(key, sizeof key, "field.%u", v->field);
        if (!look(d->index, key, value)) {
            v->code = NOT_SUPPORTED;
            continue;
        }
        if (strncmp(value, "error ", 6) == 0) {
            v->code = atoi(value + 6);
            continue;
        }
        char *number = strchr(value, ' ');
        v->code = OK;
        v->type = (unsigned)atoi(value);
        memset(&v->value, 0, sizeof v->value);
        switch (v->type) {
        case 0: v->value.d = atof(number); break;
        case 1: v->value.u = (unsigned)strtoull(number, 0, 0); break;
        case 2: v->value.ul = strtoul(number, 0, 0); break;
        case 3: v->value.ull = strtoull(number, 0, 0); break;
        case 4: v->value.sll = strtoll(number, 0, 0); break;
        case 5: v->value.i = atoi(number); break;
        default: v->value.us = (unsigned short)atoi(number);
        }
    }
    return OK;
}
#endif

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; } process;
typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; unsigned long long secret; } wide_process;

static int processes(device *d, const char *key, unsigned *count, void *out, int third)
{
    char value[MAX_VALUE], *rest = value, *word;
    unsigned room = out ? *count : 0, found = 0, wide = 0;
    if (!look(d->index, key, value))
        return NOT_SUPPORTED;
    if (third)
        words(-1, "wide", &wide, 0);
    while ((word = strsep(&rest, " "))) {
        char *bytes = strchr(word, ':');
        if (!bytes)
            continue;
        unsigned pid = (unsigned)strtoul(word, 0, 10);
        unsigned long long used = bytes[1] == '-' ? ~0ULL : strtoull(bytes + 1, 0, 10);
        /* The caller's array has room for narrow rows only; real drivers wrote past it as well,
         * here what does not fit is left out. */
        if (wide && (found + 1) * sizeof(wide_process) <= room * sizeof(process))
            ((wide_process *)out)[found] = (wide_process){pid, used, ~0u, ~0u, 0};
        else if (!wide && found < room)
            ((process *)out)[found] = (process){pid, used, ~0u, ~0u};
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : OK;
}

#define LIST(name, key, third) \
    int name(device *d, unsigned *count, void *out) { DEVICE(d); return processes(d, key, count, out, third); }
#ifndef WITHOUT_V3
LIST(nvmlDeviceGetComputeRunningProcesses_v3, "compute", 1)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v3, "graphics", 1)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v3, "mps", 1)
#endif
#ifndef WITHOUT_V2
LIST(nvmlDeviceGetComputeRunningProcesses_v2, "compute", 0)
LIST(nvmlDeviceGetGraphicsRunningProcesses_v2, "graphics", 0)
LIST(nvmlDeviceGetMPSComputeRunningProcesses_v2, "mps", 0)
#endif

typedef struct { unsigned pid; unsigned long long at; unsigned sm, memory, encoder, decoder; } sample;

int nvmlDeviceGetProcessUtilization(device *d, sample *out, unsigned *count, unsigned long long since)
{
    char value[MAX_VALUE], *rest = value, *word;
    unsigned room = out ? *count : 0, found = 0;
    DEVICE(d);
    if (!look(d->index, "busy", value))
        return NOT_SUPPORTED;
    while ((word = strsep(&rest, " "))) {
        sample one = {0};
        if (sscanf(word, "%u:%llu:%u", &one.pid, &one.at, &one.sm) != 3 || one.at <= since)
            continue;
        if (found < room)
            out[found] = one;
        found++;
    }
    *count = found;
    return !found ? NOT_FOUND : found > room ? INSUFFICIENT_SIZE : OK;
}

typedef struct {
    unsigned version;
    unsigned char cluster[16];
    unsigned status, clique, state, health;
} fabric_info;

int nvmlDeviceGetGpuFabricInfoV(device *d, fabric_info *out)
{
    unsigned long long got[3];
    DEVICE(d);
    if (out->version != (0x2000000u | sizeof *out))
        return VERSION_MISMATCH;
    if (numbers(d->index, "fabric", got, 3) != 3)
        return NOT_SUPPORTED;
    out->state = (unsigned)got[0];
    out->status = (unsigned)got[1];
    out->clique = (unsigned)got[2];
    return OK;
}

#ifndef WITHOUT_CC
typedef struct { unsigned size, attestation_size; unsigned char chain[0x1000], attestation[0x1400]; } certificate;

int nvmlDeviceGetConfComputeGpuCertificate(device *d, certificate *out)
{
    char value[MAX_VALUE];
    DEVICE(d);
    if (!look(d->index, "certificate", value))
        return NOT_SUPPORTED;
    out->size = (unsigned)strlen(value);
    memcpy(out->chain, value, out->size);
    return OK;
}
#endif

/* ---- events ---- */

#ifndef WITHOUT_EVENTS
typedef struct { unsigned long long masks[MAX_DEVICES]; } event_set;
typedef struct { device *device; unsigned long long type, data; unsigned gpu, compute; } event_data;

int nvmlEventSetCreate(event_set **out)
{
    ENTER(-1);
    *out = calloc(1, sizeof **out);
    return OK;
}

int nvmlEventSetFree(event_set *set)
{
    ENTER(-1);
    free(set);
    return OK;
}

int nvmlDeviceGetSupportedEventTypes(device *d, unsigned long long *out)
{
    DEVICE(d);
    return numbers(d->index, "events", out, 1) == 1 ? OK : NOT_SUPPORTED;
}

int nvmlDeviceRegisterEvents(device *d, unsigned long long mask, event_set *set)
{
    unsigned long long can = 0;
    DEVICE(d);
    numbers(d->index, "events", &can, 1);
    if (mask & ~can)
        return NOT_SUPPORTED;
    set->masks[d->index] |= mask;
    return OK;
}

int nvmlEventSetWait_v2(event_set *set, event_data *out, unsigned milliseconds)
{
    ENTER(-1);
    for (unsigned waited = 0; ; waited += 20) {
        char key[40];
        unsigned long long got[3];
        snprintf(key, sizeof key, "event.%d", events_taken + 1);
        if (numbers(-1, key, got, 3) == 3) {
            events_taken++;
            if (got[0] < MAX_DEVICES && set->masks[got[0]] & got[1]) {
                *out = (event_data){&devices[got[0]], got[1], got[2], ~0u, ~0u};
                return OK;
            }
            continue;
        }
        if (waited >= milliseconds)
            return TIMEOUT;
        usleep(20000);
        refresh();
    }
}
#endif
