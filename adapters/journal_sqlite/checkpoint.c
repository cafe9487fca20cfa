/* Writing the log back into the file, outside the path of commits. First on the read lane, beside
 * running commits, which does nearly all of the work; then on the write lane what came in between,
 * which is little, so that the log is whole and the next commit starts it over. */
#include "adapters/journal_sqlite/journal_sqlite_internal.h"
#include "runtime/log.h"

typedef struct checkpoint_job {
    store_job_t base;
    result_t result;
    int left;
} checkpoint_job_t;

static void beside_run(store_job_t *base)
{
    checkpoint_job_t *job = (checkpoint_job_t *)base;
    job->result = connection_checkpoint(&base->tenant->reader, &job->left);
}

static void rest_run(store_job_t *base)
{
    checkpoint_job_t *job = (checkpoint_job_t *)base;
    job->result = connection_checkpoint(&base->tenant->writer, &job->left);
    if (job->result == RESULT_OK && job->left == 0) {
        base->tenant->writer.wal_pages = 0;
    }
}

static void rest_finish(store_job_t *base)
{
    journal_tenant_t *const tenant = base->tenant;
    tenant->checkpointing = false;
    if (tenant->journal->checkpoints != NULL) {
        metric_add(tenant->journal->checkpoints, 1);
    }
}

static void beside_finish(store_job_t *base)
{
    journal_tenant_t *const tenant = base->tenant;
    const bool is_good = ((checkpoint_job_t *)base)->result == RESULT_OK;
    tenant->checkpointing = false;
    if (!is_good || tenant->closing) {
        return; /* closing writes the log back by itself */
    }
    checkpoint_job_t *job = store_job_create(tenant, sizeof *job, rest_run, rest_finish);
    tenant->checkpointing = store_job_submit(&job->base, STORE_LANE_WRITE) == RESULT_OK;
}

void checkpoint_consider(journal_tenant_t *tenant, int wal_pages)
{
    if (wal_pages < LIMIT_STORE_WAL_PAGES || tenant->checkpointing || tenant->closing) {
        return;
    }
    checkpoint_job_t *job = store_job_create(tenant, sizeof *job, beside_run, beside_finish);
    /* BUSY: the next commit asks again. */
    tenant->checkpointing = store_job_submit(&job->base, STORE_LANE_READ) == RESULT_OK;
}
