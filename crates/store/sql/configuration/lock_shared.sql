-- Holds back every change of the configuration, each of which updates this row, until the transaction ends.
SELECT routing FROM config_version FOR SHARE
