-- Creates the database of the services, in a collation that is the same on every machine.
create database postrider owner postrider template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C';
