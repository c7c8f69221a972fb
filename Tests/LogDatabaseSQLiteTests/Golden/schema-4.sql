PRAGMA application_id=1129794628;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY);
INSERT INTO grdb_migrations VALUES('1');
INSERT INTO grdb_migrations VALUES('3');
INSERT INTO grdb_migrations VALUES('2');
INSERT INTO grdb_migrations VALUES('4');
CREATE TABLE platform_event (
    position INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, service TEXT, instance TEXT,
    consumer TEXT, actor TEXT NOT NULL, mechanism TEXT, incident TEXT, step TEXT, summary TEXT NOT NULL,
    details TEXT NOT NULL
) STRICT;
INSERT INTO platform_event VALUES(1,1800001200000000,'instance.started','shop','shop-1','acme','test','failover-active-active','run-1','1','nul␀0 名前','{"count":"1"}');
INSERT INTO platform_event VALUES(2,1800001200000000,'constraint.changed','shop',NULL,'acme','test',NULL,NULL,NULL,'it happened','{}');
CREATE TABLE source (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, high_water_mark INTEGER NOT NULL
) STRICT;
INSERT INTO source VALUES(1,'gateway-1/0',6);
CREATE TABLE audit_event (
    position INTEGER PRIMARY KEY, source INTEGER REFERENCES source, sequence INTEGER,
    request_id TEXT NOT NULL UNIQUE, observer TEXT NOT NULL, service TEXT NOT NULL, consumer TEXT,
    principal TEXT NOT NULL, credential_kind TEXT NOT NULL, credential_tag TEXT, source_address TEXT NOT NULL,
    user_agent TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, status INTEGER NOT NULL, received_at INTEGER NOT NULL, forwarded_at INTEGER,
    responded_at INTEGER NOT NULL, stored_at INTEGER NOT NULL, UNIQUE (source, sequence)
) STRICT;
INSERT INTO audit_event VALUES(1,1,3,'00000000000000050000000000000003','gateway-1','shop','acme','nul␀0','password','hmac-sha256:01','192.0.2.7','test/1','POST','/login','failure','bad-credential',401,1800001200000000,1800001200001000,1800001200002000,1795700789060667);
INSERT INTO audit_event VALUES(2,NULL,NULL,'00000000000000050000000000000032','gateway-1','administration','acme','ann','password','hmac-sha256:01','192.0.2.7','test/1','POST','/login','failure','bad-credential',401,1800001200000000,1800001200001000,1800001200002000,1795700789064007);
CREATE TABLE lifecycle_event (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL, inferred INTEGER NOT NULL, instance TEXT NOT NULL,
    incarnation INTEGER NOT NULL, service TEXT NOT NULL, owner TEXT, kind TEXT NOT NULL, at INTEGER NOT NULL,
    cpu_millicores INTEGER, memory_bytes INTEGER, stored_at INTEGER NOT NULL, UNIQUE (id, inferred)
) STRICT;
INSERT INTO lifecycle_event VALUES(1,'shop/shop-1/1/start',0,'shop-1',1,'shop','acme','start',1800001200000000,500,67108864,1795700789059385);
INSERT INTO lifecycle_event VALUES(2,'shop/shop-1/1/stop',1,'shop-1',1,'shop','acme','stop',1800001260000000,500,67108864,1795700789059444);
INSERT INTO lifecycle_event VALUES(3,'shop/shop-1/1/stop',0,'shop-1',1,'shop','acme','stop',1800001250000000,500,67108864,1795700789059483);
CREATE TABLE heartbeat (instance TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO heartbeat VALUES('shop-1',1800001200000000);
CREATE TABLE record_gap (
    position INTEGER PRIMARY KEY, kind TEXT NOT NULL, source INTEGER NOT NULL REFERENCES source,
    first_sequence INTEGER NOT NULL, last_sequence INTEGER NOT NULL, records INTEGER NOT NULL,
    since INTEGER, until INTEGER, stored_at INTEGER NOT NULL
) STRICT;
INSERT INTO record_gap VALUES(1,'lost',1,4,4,9,1800001200000000,1800001200000000,1795700789060667);
INSERT INTO record_gap VALUES(2,'missing',1,5,5,1,NULL,NULL,1795700789062099);
CREATE TABLE record_conflict (
    position INTEGER PRIMARY KEY, kind TEXT NOT NULL, record_id TEXT NOT NULL, source TEXT NOT NULL,
    sequence INTEGER NOT NULL, stored TEXT NOT NULL, offered TEXT NOT NULL, stored_at INTEGER NOT NULL,
    UNIQUE (record_id, source, sequence, offered)
) STRICT;
INSERT INTO record_conflict VALUES(1,'usage','fffffffffffffffe0000000000000001','gateway-1/0',1,'{"usage":{"_0":{"bytesIn":10,"bytesOut":20,"completedAt":1800001200000000,"consumer":"acme","forwardedAt":1800001199997000,"instance":"shop-1","outcome":0,"receivedAt":1800001199995000,"requestID":"fffffffffffffffe0000000000000001","service":"shop","status":200}}}','{"usage":{"_0":{"bytesIn":10,"bytesOut":20,"completedAt":1800001200000000,"consumer":"acme","forwardedAt":1800001199997000,"instance":"shop-1","outcome":0,"receivedAt":1800001199995000,"requestID":"fffffffffffffffe0000000000000001","service":"shop","status":500}}}',1795700789062770);
CREATE TABLE name (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
INSERT INTO name VALUES(1,'acme');
INSERT INTO name VALUES(2,'shop');
INSERT INTO name VALUES(3,'shop-1');
CREATE TABLE usage_record (
    source INTEGER NOT NULL REFERENCES source, sequence INTEGER NOT NULL, request_high INTEGER NOT NULL,
    request_low INTEGER NOT NULL, consumer INTEGER NOT NULL REFERENCES name,
    service INTEGER NOT NULL REFERENCES name, instance INTEGER REFERENCES name, outcome INTEGER NOT NULL,
    status INTEGER NOT NULL, bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL,
    received_at INTEGER NOT NULL, forwarded_at INTEGER, completed_at INTEGER NOT NULL,
    stored_at INTEGER NOT NULL, PRIMARY KEY (source, sequence)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_record VALUES(1,1,-2,1,1,2,3,0,200,10,20,1800001199995000,1800001199997000,1800001200000000,1795700789060667);
INSERT INTO usage_record VALUES(1,2,-2,2,1,2,NULL,4,200,10,20,1800001199995000,NULL,1800001200000000,1795700789060667);
INSERT INTO usage_record VALUES(1,6,-2,6,1,2,3,0,200,10,20,1800001199995000,1800001199997000,1800001200000000,1795700789062099);
CREATE TABLE usage_hour (
    hour INTEGER NOT NULL, consumer INTEGER NOT NULL, service INTEGER NOT NULL, instance INTEGER NOT NULL,
    requests INTEGER NOT NULL, rejected INTEGER NOT NULL, failed INTEGER NOT NULL, bytes_in INTEGER NOT NULL,
    bytes_out INTEGER NOT NULL, busy_microseconds INTEGER NOT NULL, aborted INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, consumer, service, instance)
) STRICT, WITHOUT ROWID;
INSERT INTO usage_hour VALUES(1800000000000000,1,2,0,1,1,0,10,20,0,0);
INSERT INTO usage_hour VALUES(1800000000000000,1,2,3,2,0,0,20,40,6000,0);
CREATE TABLE configuration (id INTEGER PRIMARY KEY CHECK (id = 1), content TEXT NOT NULL) STRICT;
INSERT INTO configuration VALUES(1,'{"administratorChannels":[{"log":{}},{"webhook":{"secretFile":"/etc/s","url":"https://example.org/hook"}}],"consumers":[{"contacts":[{"email":{"address":"a@example.org"}}],"credentials":[{"digest":"00","expiresAt":1800001200000000,"id":"key-1","prefix":"cw_1","revoked":true}],"displayName":"名前","entitlements":["shop"],"id":"acme"}],"failoverGroups":[{"id":"pair","mode":"active-passive","recoveryAttempts":3,"service":"shop","standbyReadiness":"warm","standbys":1}],"pricePlans":[],"services":[{"access":"required","constraints":{"consumerHold":0,"maximumInstances":1,"maximumWait":300000000,"minimumInstances":1,"queueLength":1000,"queueTimeout":15000000},"gateway":{"connectTimeout":1000000,"idleTimeout":60000000,"maximumRetries":2,"responseTimeout":60000000,"retryBudgetPercent":20,"tunnelTimeout":3600000000,"whenUnmeterable":"refuse"},"healthCheck":{"fall":3,"fastInterval":200000,"interval":2000000,"probe":{"tcp":{}},"rise":2,"timeout":1000000},"id":"old","instances":{"endpoints":{"_0":[{"address":"::1","port":80}]}},"loadBalancing":{"algorithm":"least-request","drainTimeout":30000000,"slowStart":10000000},"loginRules":[],"restart":{"breakerPause":60000000,"breakerThreshold":5,"initialBackoff":200000,"maximumBackoff":30000000,"startTimeout":30000000},"routes":[{"pathPrefix":"/"}],"scaling":{"scaleInStabilisation":300000000,"scaleOutCooldown":3000000,"targetUtilisationPercent":70,"tolerancePercent":10}},{"access":"anonymous","constraints":{"activeConsumersPerInstance":7,"concurrentRequestsPerConsumer":7,"concurrentRequestsPerInstance":7,"consumerHold":0,"maximumInstances":7,"maximumWait":300000000,"minimumInstances":2,"queueLength":1000,"queueTimeout":15000000,"requestsPerSecondPerConsumer":7},"gateway":{"connectTimeout":1000000,"idleTimeout":60000000,"maximumRetries":2,"responseTimeout":60000000,"retryBudgetPercent":20,"tunnelTimeout":3600000000,"whenUnmeterable":"refuse"},"healthCheck":{"fall":3,"fastInterval":200000,"interval":2000000,"probe":{"http":{"expectedStatus":[200,204],"path":"/healthz"}},"rise":2,"timeout":1000000},"id":"shop","instances":{"process":{"_0":{"command":["/bin/serve","{port}"],"environment":{"A":"nul\u0000"},"limits":{"cpuMillicores":250,"memory":134217728},"outputLimit":10485760,"stopGrace":10000000,"workingDirectory":"/srv"}}},"loadBalancing":{"algorithm":"least-request","drainTimeout":30000000,"slowStart":10000000},"loginRules":[{"method":"POST","path":"/a","principal":{"basicAuthorization":{}},"success":{"status":{"_0":[200,299]}}},{"method":"POST","path":"/b","principal":{"form":{"field":"user","secret":"pass"}},"success":{"header":{"name":"x"}}},{"method":"POST","path":"/c","principal":{"json":{"field":"u"}},"success":{"json":{"field":"ok","value":"1"}}}],"owner":"acme","restart":{"breakerPause":60000000,"breakerThreshold":5,"initialBackoff":200000,"maximumBackoff":30000000,"startTimeout":30000000},"routes":[{"host":"*.example.org","pathPrefix":"/shop"}],"scaling":{"scaleInStabilisation":300000000,"scaleOutCooldown":3000000,"targetUtilisationPercent":70,"tolerancePercent":10}}]}');
CREATE TABLE instance (id TEXT PRIMARY KEY, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO instance VALUES('shop-1','{"administrative":"draining","endpoint":{"address":"127.0.0.1","port":4242},"handle":{"processID":77,"startTicks":18446744073709551615},"id":"shop-1","incarnation":3,"operational":"up","phase":"running","requestedAt":1800001200000000,"role":"standby","service":"shop","upSince":1800001200000000}');
INSERT INTO instance VALUES('shop-2','{"administrative":"draining","endpoint":{"address":"127.0.0.1","port":4242},"handle":{"processID":77,"startTicks":18446744073709551615},"id":"shop-2","incarnation":3,"operational":"up","phase":"stopping","requestedAt":1800001200000000,"role":"standby","service":"shop","upSince":1800001200000000}');
CREATE TABLE incident (id TEXT PRIMARY KEY, open INTEGER NOT NULL, content TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO incident VALUES('limit/1',1,'{"kind":"limit-reached"}');
CREATE TABLE ordinal (service TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO ordinal VALUES('shop',2);
CREATE TABLE operation (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, started_at INTEGER NOT NULL, content TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO operation VALUES('op-1','running',1800001200000000,'{"actor":"root","id":"op-1","instance":"shop-1","kind":"instance.drain","service":"shop","startedAt":1800001200000000,"state":"running"}');
INSERT INTO operation VALUES('op-2','failed',1800001200000000,'{"actor":"root","endedAt":1800001200000000,"failure":"no","id":"op-2","instance":"shop-1","kind":"instance.drain","service":"shop","startedAt":1800001200000000,"state":"failed"}');
CREATE TABLE notification (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, content TEXT NOT NULL
) STRICT;
INSERT INTO notification VALUES(1,'n-1','{"at":1800001200000000,"body":"Three of three.","consumer":"acme","id":"n-1","kind":"limit-reached","offer":{"constraint":"maximum-instances","from":3,"service":"shop","to":4},"service":"shop","severity":"warning","title":"Limit reached"}');
CREATE TABLE delivery (
    notification INTEGER NOT NULL REFERENCES notification, channel TEXT NOT NULL, state TEXT NOT NULL,
    attempts INTEGER NOT NULL, next_attempt_at INTEGER NOT NULL, ended_at INTEGER, failure TEXT,
    PRIMARY KEY (notification, channel)
) STRICT, WITHOUT ROWID;
INSERT INTO delivery VALUES(1,'{"email":{"address":"a@example.org"}}','pending',0,1800001200000000,NULL,NULL);
INSERT INTO delivery VALUES(1,'{"log":{}}','pending',0,1800001200000000,NULL,NULL);
INSERT INTO delivery VALUES(1,'{"webhook":{"url":"https://example.org"}}','pending',0,1800001200000000,NULL,NULL);
CREATE TABLE administrator (
    name TEXT PRIMARY KEY, role TEXT NOT NULL, consumer TEXT, token_digest TEXT NOT NULL,
    created_at INTEGER NOT NULL, expires_at INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO administrator VALUES('root','administrator',NULL,'00',1800001200000000,NULL);
CREATE TABLE spent_token (token TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO spent_token VALUES('spent',1800001200000000);
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO setting VALUES('signing-key','7');
CREATE TABLE stored_response (
    idempotency_key TEXT PRIMARY KEY, request_digest TEXT NOT NULL, status INTEGER NOT NULL,
    headers TEXT NOT NULL, body BLOB NOT NULL, at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO stored_response VALUES('key','aa',201,'{"location":"/x"}',X'0100ff',1800001200000000);
CREATE TABLE bill (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, consumer TEXT NOT NULL, month TEXT NOT NULL,
    period_start INTEGER NOT NULL, period_end INTEGER NOT NULL, currency TEXT NOT NULL, total INTEGER NOT NULL,
    closed_at INTEGER NOT NULL, content TEXT NOT NULL, UNIQUE (consumer, month)
) STRICT;
INSERT INTO bill VALUES(1,'acme-2026-01','acme','2026-01',1767225600000000,1769817600000000,'EUR',1234,1769821200000000,'{"nul":"\u0000"}');
CREATE TABLE credit (
    position INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, consumer TEXT NOT NULL, at INTEGER NOT NULL,
    currency TEXT NOT NULL, amount INTEGER NOT NULL, reason TEXT NOT NULL, actor TEXT NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;
INSERT INTO credit VALUES(1,'c-1','acme',1800001200000000,'EUR',500,'Outage','root',1795700789052818);
CREATE TABLE usage_late (
    position INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source, sequence INTEGER NOT NULL,
    UNIQUE (source, sequence)
) STRICT;
CREATE TABLE seal (
    log TEXT NOT NULL, size INTEGER NOT NULL, last_position INTEGER NOT NULL, peaks BLOB NOT NULL,
    note TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (log, size)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_event (
    position INTEGER PRIMARY KEY, source TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
    consumer TEXT NOT NULL, service TEXT NOT NULL, meter TEXT NOT NULL, micro_units INTEGER NOT NULL,
    at INTEGER NOT NULL, stored_at INTEGER NOT NULL, UNIQUE (source, id)
) STRICT;
INSERT INTO usage_event VALUES(1,'/shop','nul␀0','storage.used','acme','shop','storage',1500000,1800001200000000,1795976937000000);
CREATE INDEX platform_event_at ON platform_event (at);
CREATE INDEX platform_event_service ON platform_event (service);
CREATE INDEX platform_event_instance ON platform_event (instance) WHERE instance IS NOT NULL;
CREATE INDEX platform_event_incident ON platform_event (incident) WHERE incident IS NOT NULL;
CREATE INDEX audit_event_received ON audit_event (received_at);
CREATE INDEX audit_event_outcome ON audit_event (outcome, received_at);
CREATE INDEX audit_event_principal ON audit_event (principal);
CREATE INDEX audit_event_address ON audit_event (source_address);
CREATE INDEX lifecycle_event_instance ON lifecycle_event (service, instance, incarnation, at);
CREATE INDEX lifecycle_event_at ON lifecycle_event (at);
CREATE INDEX record_gap_source ON record_gap (source, first_sequence);
CREATE UNIQUE INDEX usage_record_request ON usage_record (request_high, request_low);
CREATE INDEX usage_record_completed ON usage_record (completed_at);
CREATE VIEW usage AS
SELECT source.name AS source, sequence, printf('%016x%016x', request_high, request_low) AS request_id,
    consumer.text AS consumer, service.text AS service, instance.text AS instance, outcome, status, bytes_in,
    bytes_out, received_at, forwarded_at, completed_at, stored_at
FROM usage_record
JOIN source ON source.id = usage_record.source
JOIN name AS consumer ON consumer.id = usage_record.consumer
JOIN name AS service ON service.id = usage_record.service
LEFT JOIN name AS instance ON instance.id = usage_record.instance;
CREATE INDEX incident_open ON incident (open) WHERE open = 1;
CREATE INDEX operation_started ON operation (started_at);
CREATE INDEX operation_running ON operation (state) WHERE state = 'running';
CREATE INDEX delivery_due ON delivery (next_attempt_at) WHERE state = 'pending';
CREATE INDEX stored_response_at ON stored_response (at);
CREATE TRIGGER platform_event_no_update BEFORE UPDATE ON platform_event
BEGIN SELECT RAISE(ABORT, 'platform_event is append-only'); END;
CREATE TRIGGER platform_event_no_delete BEFORE DELETE ON platform_event
BEGIN SELECT RAISE(ABORT, 'platform_event is append-only'); END;
CREATE TRIGGER usage_record_no_update BEFORE UPDATE ON usage_record
BEGIN SELECT RAISE(ABORT, 'usage_record is append-only'); END;
CREATE TRIGGER usage_record_no_delete BEFORE DELETE ON usage_record
BEGIN SELECT RAISE(ABORT, 'usage_record is append-only'); END;
CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only'); END;
CREATE TRIGGER lifecycle_event_no_update BEFORE UPDATE ON lifecycle_event
BEGIN SELECT RAISE(ABORT, 'lifecycle_event is append-only'); END;
CREATE TRIGGER lifecycle_event_no_delete BEFORE DELETE ON lifecycle_event
BEGIN SELECT RAISE(ABORT, 'lifecycle_event is append-only'); END;
CREATE TRIGGER record_gap_no_update BEFORE UPDATE ON record_gap
BEGIN SELECT RAISE(ABORT, 'record_gap is append-only'); END;
CREATE TRIGGER record_gap_no_delete BEFORE DELETE ON record_gap
BEGIN SELECT RAISE(ABORT, 'record_gap is append-only'); END;
CREATE TRIGGER record_conflict_no_update BEFORE UPDATE ON record_conflict
BEGIN SELECT RAISE(ABORT, 'record_conflict is append-only'); END;
CREATE TRIGGER record_conflict_no_delete BEFORE DELETE ON record_conflict
BEGIN SELECT RAISE(ABORT, 'record_conflict is append-only'); END;
CREATE INDEX bill_period ON bill (period_start);
CREATE INDEX credit_consumer ON credit (consumer, at);
CREATE INDEX record_conflict_stored ON record_conflict (kind, stored_at);
CREATE TRIGGER bill_no_update BEFORE UPDATE ON bill
BEGIN SELECT RAISE(ABORT, 'bill is append-only'); END;
CREATE TRIGGER bill_no_delete BEFORE DELETE ON bill
BEGIN SELECT RAISE(ABORT, 'bill is append-only'); END;
CREATE TRIGGER credit_no_update BEFORE UPDATE ON credit
BEGIN SELECT RAISE(ABORT, 'credit is append-only'); END;
CREATE TRIGGER credit_no_delete BEFORE DELETE ON credit
BEGIN SELECT RAISE(ABORT, 'credit is append-only'); END;
CREATE TRIGGER usage_late_no_update BEFORE UPDATE ON usage_late
BEGIN SELECT RAISE(ABORT, 'usage_late is append-only'); END;
CREATE TRIGGER usage_late_no_delete BEFORE DELETE ON usage_late
BEGIN SELECT RAISE(ABORT, 'usage_late is append-only'); END;
CREATE TRIGGER seal_no_update BEFORE UPDATE ON seal
BEGIN SELECT RAISE(ABORT, 'seal is append-only'); END;
CREATE TRIGGER seal_no_delete BEFORE DELETE ON seal
BEGIN SELECT RAISE(ABORT, 'seal is append-only'); END;
CREATE INDEX usage_event_consumer ON usage_event (consumer, at);
CREATE TRIGGER usage_event_no_update BEFORE UPDATE ON usage_event
BEGIN SELECT RAISE(ABORT, 'usage_event is append-only'); END;
CREATE TRIGGER usage_event_no_delete BEFORE DELETE ON usage_event
BEGIN SELECT RAISE(ABORT, 'usage_event is append-only'); END;
COMMIT;
