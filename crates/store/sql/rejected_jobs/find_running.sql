-- The running job, of which there is one at most.
SELECT id FROM rejected_jobs WHERE state = 'running'
