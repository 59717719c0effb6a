SELECT routing AS version FROM config_version
