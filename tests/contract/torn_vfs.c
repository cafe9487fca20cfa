/* Each file has two images in memory: what is certainly on the disk, and what was written. */
#include "tests/contract/torn_vfs.h"
#include "tests/contract/vfs_forward.h"
#include <assert.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512, FILES_MAX = 16, IMAGE_SIZE = 16 * 1024 * 1024, PATH_SIZE = 512 };

typedef struct image {
    char path[PATH_SIZE];
    uint8_t *synced;
    uint8_t *written;
    bool *is_dirty; /* by sector */
    int64_t synced_size;
    int64_t written_size;
    bool is_durable; /* its name is: the first fsync also syncs the directory */
    bool is_used;
} image_t;

typedef struct torn_file {
    vfs_forward_file_t forward;
    image_t *image; /* NULL: not watched */
} torn_file_t;

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    sqlite3_io_methods methods;
    pthread_mutex_t lock;
    char directory[PATH_SIZE];
    image_t images[FILES_MAX];
    uint32_t operations; /* until the power goes; 0: not armed */
    uint64_t random;
    char crashed[PATH_SIZE];
    void (*lost)(void *context);
    void *context;
    bool forgets;
} torn;

static uint64_t random_next(void)
{
    torn.random ^= torn.random << 13;
    torn.random ^= torn.random >> 7;
    torn.random ^= torn.random << 17;
    return torn.random;
}

/* --- What the disk holds --- */

typedef enum survival { SURVIVES_NOTHING, SURVIVES_ALL, SURVIVES_SOME } survival_t;

static bool survives(survival_t mode)
{
    return mode == SURVIVES_ALL || (mode == SURVIVES_SOME && random_next() % 2 == 0);
}

static void image_write_aside(const image_t *image, survival_t mode)
{
    char path[2 * PATH_SIZE];
    if (!image->is_durable && !survives(mode)) {
        return; /* not even its name */
    }
    const bool new_size = survives(mode);
    const int64_t size = new_size ? image->written_size : image->synced_size;
    (void)snprintf(path, sizeof path, "%s%s", torn.crashed, image->path + strlen(torn.directory));
    FILE *const file = fopen(path, "wb");
    assert(file != NULL);
    for (int64_t at = 0; at < size; at += SECTOR) {
        const int64_t left = size - at < SECTOR ? size - at : SECTOR;
        const bool is_new = image->is_dirty[at / SECTOR] && survives(mode);
        const uint8_t *const from =
            (image->is_dirty[at / SECTOR] && !is_new ? image->synced : image->written) + at;
        const size_t written = fwrite(from, 1, (size_t)left, file);
        assert(written == (size_t)left);
    }
    const int failed = fclose(file);
    assert(failed == 0);
}

/* Before the operation takes place. Under the lock. */
static void operation_count(void)
{
    if (torn.operations == 0) {
        return;
    }
    torn.operations--;
    if (torn.operations > 0) {
        return;
    }
    torn.lost(torn.context);
    const survival_t mode = (survival_t)(random_next() % 4 < 2 ? 2 : random_next() % 2);
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (torn.images[i].is_used) {
            image_write_aside(&torn.images[i], mode);
        }
    }
}

/* --- Images --- */

static image_t *image_find(const char *path, bool create)
{
    image_t *free_one = NULL;
    for (size_t i = 0; i < FILES_MAX; i++) {
        if (torn.images[i].is_used && strcmp(torn.images[i].path, path) == 0) {
            return &torn.images[i];
        }
        free_one = !torn.images[i].is_used && free_one == NULL ? &torn.images[i] : free_one;
    }
    if (!create) {
        return NULL;
    }
    assert(free_one != NULL);
    *free_one = (image_t){.is_used = true,
                          .synced = calloc(1, IMAGE_SIZE),
                          .written = calloc(1, IMAGE_SIZE),
                          .is_dirty = calloc(IMAGE_SIZE / SECTOR, sizeof(bool))};
    assert(free_one->synced != NULL && free_one->written != NULL && free_one->is_dirty != NULL);
    (void)snprintf(free_one->path, sizeof free_one->path, "%s", path);
    return free_one;
}

static void image_forget(image_t *image)
{
    free(image->synced);
    free(image->written);
    free(image->is_dirty);
    *image = (image_t){0};
}

static void image_sync(image_t *image)
{
    if (torn.forgets && strstr(image->path, "-wal") != NULL) {
        return;
    }
    for (int64_t i = 0; i < IMAGE_SIZE / SECTOR; i++) {
        if (image->is_dirty[i]) {
            memcpy(image->synced + i * SECTOR, image->written + i * SECTOR, SECTOR);
            image->is_dirty[i] = false;
        }
    }
    image->synced_size = image->written_size;
    image->is_durable = true;
}

static void image_put(image_t *image, const void *data, int size, int64_t offset)
{
    assert(offset + size <= IMAGE_SIZE);
    memcpy(image->written + offset, data, (size_t)size);
    for (int64_t at = offset / SECTOR; at <= (offset + size - 1) / SECTOR; at++) {
        image->is_dirty[at] = true;
    }
    if (offset + size > image->written_size) {
        image->written_size = offset + size;
    }
}

static void image_cut(image_t *image, int64_t size)
{
    for (int64_t at = size; at < image->written_size; at++) {
        image->written[at] = 0;
        image->is_dirty[at / SECTOR] = true;
    }
    image->written_size = size;
}

/* --- The file --- */

static int file_write(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset)
{
    image_t *const image = ((torn_file_t *)file)->image;
    if (image != NULL) {
        (void)pthread_mutex_lock(&torn.lock);
        operation_count();
        image_put(image, data, size, offset);
        (void)pthread_mutex_unlock(&torn.lock);
    }
    return vfs_forward_real(file)->pMethods->xWrite(vfs_forward_real(file), data, size, offset);
}

static int file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    image_t *const image = ((torn_file_t *)file)->image;
    if (image != NULL) {
        (void)pthread_mutex_lock(&torn.lock);
        operation_count();
        image_cut(image, size);
        (void)pthread_mutex_unlock(&torn.lock);
    }
    return vfs_forward_real(file)->pMethods->xTruncate(vfs_forward_real(file), size);
}

/* The images are what counts: a real fsync would only take time. */
static int file_sync(sqlite3_file *file, int flags)
{
    image_t *const image = ((torn_file_t *)file)->image;
    if (image == NULL) {
        return vfs_forward_real(file)->pMethods->xSync(vfs_forward_real(file), flags);
    }
    (void)pthread_mutex_lock(&torn.lock);
    operation_count();
    image_sync(image);
    (void)pthread_mutex_unlock(&torn.lock);
    return SQLITE_OK;
}

/* Nothing is promised about writes: neither order nor whole pages. */
static int file_characteristics(sqlite3_file *file)
{
    (void)file;
    return 0;
}

/* What a file holds when it is first seen is on the disk: it was made whole and synced. */
static void image_load(image_t *image, sqlite3_file *real)
{
    sqlite3_int64 size = 0;
    int code = real->pMethods->xFileSize(real, &size);
    assert(code == SQLITE_OK && size <= IMAGE_SIZE);
    if (size > 0) {
        code = real->pMethods->xRead(real, image->written, (int)size, 0);
        assert(code == SQLITE_OK);
        memcpy(image->synced, image->written, (size_t)size);
        image->is_durable = true;
    }
    image->synced_size = size;
    image->written_size = size;
}

static int vfs_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                    int *flags_out)
{
    (void)vfs;
    torn_file_t *const opened = (torn_file_t *)file;
    *opened = (torn_file_t){.forward.real = (sqlite3_file *)(opened + 1)};
    const int code = torn.real->xOpen(torn.real, name, opened->forward.real, flags, flags_out);
    if (opened->forward.real->pMethods != NULL) {
        opened->forward.base.pMethods = &torn.methods;
    }
    /* A file that is being made is renamed when it is whole and synced: watched from then on. */
    if (code == SQLITE_OK && name != NULL && strstr(name, ".new") == NULL &&
        strncmp(name, torn.directory, strlen(torn.directory)) == 0) {
        (void)pthread_mutex_lock(&torn.lock);
        opened->image = image_find(name, false);
        if (opened->image == NULL) {
            opened->image = image_find(name, true);
            image_load(opened->image, opened->forward.real);
        }
        (void)pthread_mutex_unlock(&torn.lock);
    }
    return code;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
    (void)vfs;
    (void)pthread_mutex_lock(&torn.lock);
    image_t *const image = image_find(name, false);
    if (image != NULL) {
        operation_count();
        image_forget(image);
    }
    (void)pthread_mutex_unlock(&torn.lock);
    return torn.real->xDelete(torn.real, name, sync);
}

void torn_vfs_install(const char *directory)
{
    torn.real = sqlite3_vfs_find(NULL);
    torn.methods = vfs_forward_methods();
    torn.methods.xWrite = file_write;
    torn.methods.xTruncate = file_truncate;
    torn.methods.xSync = file_sync;
    torn.methods.xDeviceCharacteristics = file_characteristics;
    torn.vfs = vfs_forward_of_default("torn", sizeof(torn_file_t), vfs_open);
    torn.vfs.xDelete = vfs_delete;
    (void)pthread_mutex_init(&torn.lock, NULL);
    (void)snprintf(torn.directory, sizeof torn.directory, "%s", directory);
    (void)sqlite3_vfs_register(&torn.vfs, 1);
}

void torn_vfs_arm(uint32_t operations, uint64_t seed, const char *directory,
                  void (*lost)(void *context), void *context)
{
    (void)pthread_mutex_lock(&torn.lock);
    torn.random = seed * 2 + 1;
    (void)snprintf(torn.crashed, sizeof torn.crashed, "%s", directory);
    torn.lost = lost;
    torn.context = context;
    torn.operations = operations;
    (void)pthread_mutex_unlock(&torn.lock);
}

bool torn_vfs_is_armed(void)
{
    (void)pthread_mutex_lock(&torn.lock);
    const bool is_armed = torn.operations > 0;
    (void)pthread_mutex_unlock(&torn.lock);
    return is_armed;
}

void torn_vfs_forget_syncs(bool forgets)
{
    torn.forgets = forgets;
}
