-- A webhook's health counts its attempts from the first one on. They are counted by slices of time, and of the
-- slice in which it was made nothing counted. (From its re-enabling on, nothing counts of the slice in which that
-- was: what failed before stays forgotten.)
ALTER TABLE webhooks ALTER COLUMN health_since SET DEFAULT '-infinity';
