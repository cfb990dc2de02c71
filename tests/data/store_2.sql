CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'bfai','0001_first','2026-11-21 15:10:50.107326+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'bfai','0002_strategies','2026-11-21 15:10:50.115374+00:00');
CREATE TABLE audit (
        pk INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        at INTEGER NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        detail TEXT NOT NULL
    ) STRICT;
INSERT INTO "audit" VALUES(1,1,1795273850123181,'added','590d5b2432e94625a391b29ccafa1a63','{"name":"Main","exchange":"mexc"}');
INSERT INTO "audit" VALUES(2,1,1795273850134420,'added','aeed08edbc7c42a895e580097fd1e7f5','{"name":"Second","exchange":"okx"}');
INSERT INTO "audit" VALUES(3,1,1795273850137917,'tested','590d5b2432e94625a391b29ccafa1a63','{"name":"Main","old":"untested","new":"online","cause":null}');
INSERT INTO "audit" VALUES(4,1,1795273850142052,'tested','590d5b2432e94625a391b29ccafa1a63','{"name":"Main","old":"online","new":"failed","cause":"ip_not_allowed"}');
INSERT INTO "audit" VALUES(5,1,1795273850149766,'tested','aeed08edbc7c42a895e580097fd1e7f5','{"name":"Second","old":"untested","new":"online","cause":null}');
INSERT INTO "audit" VALUES(6,1,1795273850159599,'tested','590d5b2432e94625a391b29ccafa1a63','{"name":"Main","old":"failed","new":"connected","cause":null}');
CREATE TABLE connection (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        exchange TEXT NOT NULL,
        market TEXT NOT NULL,
        region TEXT NOT NULL,
        environment TEXT NOT NULL,
        egress_proxy TEXT,
        used_by TEXT NOT NULL,
        note TEXT NOT NULL,
        key_hint TEXT NOT NULL,
        fingerprint BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        key_since INTEGER NOT NULL,
        status TEXT NOT NULL,
        report INTEGER,
        last_run_id TEXT,
        last_tested_at INTEGER,
        confirmed_at INTEGER,
        confirmed_hash TEXT,
        UNIQUE (owner, id),
        UNIQUE (owner, name_key)
    ) STRICT;
INSERT INTO "connection" VALUES(1,1,'590d5b2432e94625a391b29ccafa1a63','Main','main','mexc','spot','global','live',NULL,'','','TEST',X'4D61696E',1795251600123456,1795251600123456,'connected',2,'00000000000000000000000000000006',1795251604123456,NULL,NULL);
INSERT INTO "connection" VALUES(2,1,'aeed08edbc7c42a895e580097fd1e7f5','Second','second','okx','spot','global','live',NULL,'','','TEST',X'5365636F6E64',1795251600123456,1795251600123456,'online',NULL,'00000000000000000000000000000004',1795251603123456,NULL,NULL);
CREATE TABLE key_report (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (connection, hash)
    ) STRICT;
INSERT INTO "key_report" VALUES(1,1,1,X'410A464DF03BBD6A025EDD1DED1DC3E6E7C66083F1FF6F18B097EF6EDA201577','{"grants":{"withdraw":{"state":"denied","evidence":"declared","words":["enableWithdrawals"]}},"ip_restriction":{"state":"granted","addresses":["203.0.113.7"]},"expires_at":"2027-02-19T09:00:00.123456Z","label":"one","pairs":["BTCUSDT"]}');
INSERT INTO "key_report" VALUES(2,1,1,X'24A579EAE22E389DFB415B90992F7341BB5AEF05DE451BB0ED38B8C93E343694','{"grants":{"withdraw":{"state":"denied","evidence":"declared","words":["enableWithdrawals"]}},"ip_restriction":{"state":"granted","addresses":["203.0.113.7"]},"expires_at":"2027-02-19T09:00:00.123456Z","label":"two","pairs":["BTCUSDT"]}');
CREATE TABLE market_data (
        owner INTEGER NOT NULL REFERENCES owner (pk),
        name TEXT NOT NULL,
        body TEXT NOT NULL,
        fetched_at INTEGER NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT;
CREATE TABLE owner (pk INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO "owner" VALUES(1,'local');
CREATE TABLE pattern (
        pk INTEGER PRIMARY KEY AUTOINCREMENT,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        hash BLOB NOT NULL,
        status TEXT NOT NULL,
        cause TEXT,
        body TEXT NOT NULL,
        UNIQUE (connection, hash)
    ) STRICT;
INSERT INTO "pattern" VALUES(1,1,1,X'AA095942177B922AFB2C6BC020D81F7B88365EC3B633873BEEDC9F1B2844FD65','online',NULL,'{"latencies":["f",null,"f"],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=online","diagnosis":null,"checks":[{"name":"=reach","outcome":"=pass","detail":{"text":"=","params":{}}},{"name":"=expiry","outcome":"=warn","detail":{"text":"={n} days","params":{"n":"i"}}},{"name":"=balance","outcome":"=pass","detail":{"text":"=Seen","params":{}}}],"advice":["=expires_soon"],"confirmed_at":null,"balances":{"USDT":"x","":"x"},"seen_ip":"x","clock_offset_ms":"f","answered_at":null,"receipt":[{"method":"=GET","host":"=api.mexc.com","path":"=/api/v3/time","purpose":"=clock","at":"t","status":200,"latency_ms":null,"dry_run":false}]}');
INSERT INTO "pattern" VALUES(2,1,1,X'B09E8FE199320CA45A7A0073A78FA7B95CE1744563113A8CCAD6C95799E6BBFB','failed','ip_not_allowed','{"latencies":["f",null,"f"],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=failed","diagnosis":{"cause":"=ip_not_allowed","candidates":["=ip_not_allowed"],"permission":null,"exchange_said":"x","seen_ip":null,"retry_after_s":"f","region":null,"check":null},"checks":[{"name":"=reach","outcome":"=pass","detail":{"text":"=","params":{}}},{"name":"=expiry","outcome":"=warn","detail":{"text":"={n} days","params":{"n":"i"}}},{"name":"=balance","outcome":"=pass","detail":{"text":"=Seen","params":{}}}],"advice":["=expires_soon"],"confirmed_at":null,"balances":{"USDT":"x","":"x"},"seen_ip":"x","clock_offset_ms":"f","answered_at":null,"receipt":[{"method":"=GET","host":"=api.mexc.com","path":"=/api/v3/time","purpose":"=clock","at":"t","status":200,"latency_ms":null,"dry_run":false}]}');
INSERT INTO "pattern" VALUES(3,1,1,X'C586619B61466596A9E73E3CB7A1E9E51B562E9268FCC7D727C9C27E8E9D3761','failed','local_network','{"latencies":["f",null,"f"],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=failed","diagnosis":{"cause":"=local_network","candidates":["=local_network"],"permission":null,"exchange_said":"x","seen_ip":null,"retry_after_s":"f","region":null,"check":null},"checks":[{"name":"=reach","outcome":"=pass","detail":{"text":"=","params":{}}},{"name":"=expiry","outcome":"=warn","detail":{"text":"={n} days","params":{"n":"i"}}},{"name":"=balance","outcome":"=pass","detail":{"text":"=Seen","params":{}}}],"advice":["=expires_soon"],"confirmed_at":null,"balances":{"USDT":"x","":"x"},"seen_ip":"x","clock_offset_ms":"f","answered_at":null,"receipt":[{"method":"=GET","host":"=api.mexc.com","path":"=/api/v3/time","purpose":"=clock","at":"t","status":200,"latency_ms":null,"dry_run":false}]}');
INSERT INTO "pattern" VALUES(4,1,2,X'82BEAEB17F38949CBC8088D148EC3342E344A200DFBB6B31D6F5A91C5B59B518','online',NULL,'{"latencies":["f",null,"f"],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=online","diagnosis":null,"checks":[{"name":"=reach","outcome":"=pass","detail":{"text":"=","params":{}}},{"name":"=expiry","outcome":"=warn","detail":{"text":"={n} days","params":{"n":"i"}}},{"name":"=balance","outcome":"=pass","detail":{"text":"=Seen","params":{}}}],"advice":["=expires_soon"],"confirmed_at":null,"balances":{},"seen_ip":"x","clock_offset_ms":null,"answered_at":null,"receipt":[{"method":"=GET","host":"=api.mexc.com","path":"=/api/v3/time","purpose":"=clock","at":"t","status":200,"latency_ms":null,"dry_run":false}]}');
INSERT INTO "pattern" VALUES(5,1,2,X'9CCD5738BBAFF893EE9E52DB23D33DCF30456DED0FF94E7A7E1D3122B1D7C2A8','online',NULL,'{"latencies":[],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=online","diagnosis":null,"checks":[],"advice":[],"confirmed_at":null,"balances":{},"seen_ip":null,"clock_offset_ms":null,"answered_at":null,"receipt":[]}');
INSERT INTO "pattern" VALUES(6,1,1,X'7AA3C7CDE5699250339B51C69520BF4FF5C535466C268E84F23DAB599556CE6F','connected',NULL,'{"latencies":["f",null,"f"],"exchange":"=mexc","region":"=global","environment":"=live","market":"=spot","status":"=connected","diagnosis":null,"checks":[{"name":"=reach","outcome":"=pass","detail":{"text":"=","params":{}}},{"name":"=expiry","outcome":"=warn","detail":{"text":"={n} days","params":{"n":"i"}}},{"name":"=balance","outcome":"=pass","detail":{"text":"=Seen","params":{}}}],"advice":["=expires_soon"],"confirmed_at":null,"balances":{"USDT":"x","":"x"},"seen_ip":"x","clock_offset_ms":"f","answered_at":"=2026-11-21T09:00:00.123456Z","receipt":[{"method":"=GET","host":"=api.mexc.com","path":"=/api/v3/time","purpose":"=clock","at":"t","status":200,"latency_ms":null,"dry_run":false}]}');
CREATE TABLE revision (
        strategy INTEGER NOT NULL REFERENCES strategy (pk) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        digest TEXT NOT NULL,
        parameters TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        note TEXT NOT NULL,
        PRIMARY KEY (strategy, number)
    ) STRICT;
CREATE TABLE run (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        id BLOB NOT NULL,
        started_at INTEGER NOT NULL,
        duration_ms REAL NOT NULL,
        change INTEGER NOT NULL,
        pattern INTEGER NOT NULL,
        report INTEGER,
        numbers BLOB NOT NULL,
        texts TEXT,
        UNIQUE (owner, id)
    ) STRICT;
INSERT INTO "run" VALUES(1,1,1,X'00000000000000000000000000000001',1795251601123456,312.0,3,1,1,X'00F0A00000358301003075000026D0FFFF00000000','["4210.00","1","203.0.113.7"]');
INSERT INTO "run" VALUES(2,1,1,X'00000000000000000000000000000002',1795251602123456,312.0,1,2,NULL,X'00F0A0000035830100DC0500003075000026D0FFFF00000000','["no","4210.00","1","203.0.113.7"]');
INSERT INTO "run" VALUES(3,1,1,X'FF72756E2D3032FF',1795251602123456,312.0,0,3,NULL,X'00F0A0000035830100DC0500003075000026D0FFFF00000000','["no","4210.00","1","203.0.113.7"]');
INSERT INTO "run" VALUES(4,1,2,X'00000000000000000000000000000004',1795251603123456,3.33333333333333314829e-01,1,4,NULL,X'00F0A00000358301003075000000000000','["203.0.113.7"]');
INSERT INTO "run" VALUES(5,1,2,X'00000000000000000000000000000005',1795251602623456,312.0,0,5,NULL,X'',NULL);
INSERT INTO "run" VALUES(6,1,1,X'00000000000000000000000000000006',1795251604123456,312.0,3,6,2,X'00F0A00000358301003075000026D0FFFF00000000','["4210.00","1","203.0.113.7"]');
CREATE TABLE secret (
        connection INTEGER NOT NULL REFERENCES connection (pk) ON DELETE CASCADE,
        field TEXT NOT NULL,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        format INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        PRIMARY KEY (connection, field)
    ) STRICT;
INSERT INTO "secret" VALUES(1,'api_key',1,1,X'787878787878787878787878',X'786170695F6B6579');
INSERT INTO "secret" VALUES(1,'secret',1,1,X'787878787878787878787878',X'78736563726574');
INSERT INTO "secret" VALUES(2,'api_key',1,1,X'787878787878787878787878',X'786170695F6B6579');
INSERT INTO "secret" VALUES(2,'secret',1,1,X'787878787878787878787878',X'78736563726574');
CREATE TABLE setting (
        owner INTEGER NOT NULL REFERENCES owner (pk),
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (owner, name)
    ) STRICT;
INSERT INTO "setting" VALUES(1,'idle_minutes','15');
CREATE TABLE strategy (
        pk INTEGER PRIMARY KEY,
        owner INTEGER NOT NULL REFERENCES owner (pk),
        id TEXT NOT NULL,
        name TEXT NOT NULL,
        name_key TEXT NOT NULL,
        connection INTEGER REFERENCES connection (pk) ON DELETE SET NULL,
        connection_name TEXT NOT NULL,
        state TEXT NOT NULL,
        reasons TEXT NOT NULL,
        needs_person INTEGER NOT NULL,
        revision INTEGER NOT NULL,
        enabled_revision INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        enabled_at INTEGER,
        UNIQUE (owner, id),
        UNIQUE (owner, name_key)
    ) STRICT;
CREATE TABLE vault (
        owner INTEGER PRIMARY KEY REFERENCES owner (pk),
        id TEXT NOT NULL,
        format INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        failures INTEGER NOT NULL DEFAULT 0,
        failed_at INTEGER
    ) STRICT;
CREATE TABLE wrap (
        owner INTEGER NOT NULL REFERENCES vault (owner) ON DELETE CASCADE,
        kind TEXT NOT NULL,
        format INTEGER NOT NULL,
        salt BLOB NOT NULL,
        memory_kib INTEGER NOT NULL,
        passes INTEGER NOT NULL,
        lanes INTEGER NOT NULL,
        nonce BLOB NOT NULL,
        ciphertext BLOB NOT NULL,
        checksum BLOB NOT NULL,
        PRIMARY KEY (owner, kind)
    ) STRICT;
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX connection_by_fingerprint ON connection (owner, fingerprint);
CREATE INDEX run_by_connection ON run (connection, started_at);
CREATE INDEX run_by_time ON run (owner, started_at);
CREATE INDEX run_by_change ON run (owner, started_at) WHERE change > 0;
CREATE INDEX audit_by_owner ON audit (owner, pk);
CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit BEGIN SELECT RAISE (ABORT, 'append-only'); END;
CREATE TRIGGER audit_is_never_deleted BEFORE DELETE ON audit BEGIN SELECT RAISE (ABORT, 'append-only'); END;
CREATE INDEX strategy_by_connection ON strategy (connection);
CREATE TRIGGER revision_never_changes BEFORE UPDATE ON revision BEGIN SELECT RAISE (ABORT, 'never changes'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('audit',6);
INSERT INTO "sqlite_sequence" VALUES('pattern',6);
