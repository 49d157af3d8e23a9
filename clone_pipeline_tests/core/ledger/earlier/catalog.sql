BEGIN TRANSACTION;
CREATE TABLE api_keys (
	key_id VARCHAR(32) NOT NULL, 
	organization_id VARCHAR(128) NOT NULL, 
	role VARCHAR(16) NOT NULL, 
	key_hash VARCHAR(64) NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME, 
	revoked_at DATETIME, 
	CONSTRAINT pk_api_keys PRIMARY KEY (key_id), 
	CONSTRAINT fk_api_keys_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (organization_id), 
	CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash)
);
CREATE TABLE buckets (
	namespace_key INTEGER NOT NULL, 
	bucket_id VARCHAR(128) NOT NULL, 
	bucket_name TEXT NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_buckets PRIMARY KEY (namespace_key, bucket_id), 
	CONSTRAINT fk_buckets_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE, 
	CONSTRAINT uq_buckets_namespace_key_bucket_name UNIQUE (namespace_key, bucket_name)
);
INSERT INTO "buckets" VALUES(1,'bkt_srcAAAA1','bucket 0','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "buckets" VALUES(1,'bkt_srcAAAA2','bucket 1','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "buckets" VALUES(2,'bkt_G8EKGTpg','bucket 0','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "buckets" VALUES(2,'bkt_iJ7r4Fwj','bucket 1','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE clone_pipeline_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT clone_pipeline_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "clone_pipeline_version" VALUES('0007');
CREATE TABLE clone_resources (
	clone_id VARCHAR(32) NOT NULL, 
	kind VARCHAR(16) NOT NULL, 
	source_id VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	target_id VARCHAR(128) NOT NULL, 
	name TEXT NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_clone_resources PRIMARY KEY (clone_id, kind, source_id, version), 
	CONSTRAINT fk_clone_resources_clone_id FOREIGN KEY(clone_id) REFERENCES clones (clone_id) ON DELETE CASCADE
);
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','namespace','ns_srcAAAAAA1',0,'ns_AbQiwm80YM','copy','{"infrastructure":{"qdrant_collection":"ns_AbQiwm80YM_242a958252f3"},"payload_indexes":[{"field_name":"lang","type":"keyword"}],"marker":"first","created_at":"2026-11-25T12:00:00Z","updated_at":"2026-11-25T12:00:00Z"}','2026-11-25 12:00:00.000000','2026-11-25 12:00:00.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','bucket','bkt_srcAAAA1',0,'bkt_G8EKGTpg','bucket 0','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','bucket','bkt_srcAAAA2',0,'bkt_iJ7r4Fwj','bucket 1','{"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','collection','col_srcAAAAA1',0,'col_ebdd1Mmct4','scenes','{"source":{"type":"bucket","bucket_ids":["bkt_G8EKGTpg","bkt_iJ7r4Fwj"]},"taxonomy_applications":[],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','collection','col_srcAAAAA2',0,'col_jROx7UV5Wb','faces','{"source":{"type":"collection","collection_id":"col_ebdd1Mmct4"},"retriever_enrichments":[{"retriever_id":"ret_ogupHeJ4aJ7X1n"}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','collection','col_srcAAAAA3',0,'col_V2bh8t87Hp','labels','{"source":{"type":"bucket","bucket_ids":["bkt_iJ7r4Fwj"]},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','retriever','ret_srcAAAAAAAAA1',0,'ret_ogupHeJ4aJ7X1n','search','{"collection_ids":["col_ebdd1Mmct4","col_V2bh8t87Hp"],"stages":[{"stage_name":"enrich","config":{"stage_id":"taxonomy_enrich","parameters":{"taxonomy_id":null}}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "clone_resources" VALUES('clone_242a958252f3','retriever','ret_srcAAAAAAAAA2',0,'ret_X0C3VhlyY3W9A8','search twice','{"collection_ids":["col_jROx7UV5Wb"],"stages":[{"stage_name":"inner","config":{"parameters":{"retriever_id":"ret_ogupHeJ4aJ7X1n","collection_ids":["col_jROx7UV5Wb"]}}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE clone_runs (
	run_id VARCHAR(64) NOT NULL, 
	clone_id VARCHAR(32) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_clone_runs PRIMARY KEY (run_id), 
	CONSTRAINT fk_clone_runs_clone_id FOREIGN KEY(clone_id) REFERENCES clones (clone_id) ON DELETE CASCADE
);
INSERT INTO "clone_runs" VALUES('run-1','clone_242a958252f3','2026-11-25 12:00:00.000000');
CREATE TABLE clone_slices (
	clone_id VARCHAR(32) NOT NULL, 
	slice INTEGER NOT NULL, 
	bounds JSON NOT NULL, 
	cursor JSON, 
	points BIGINT NOT NULL, 
	progress JSON NOT NULL, 
	done BOOLEAN NOT NULL, 
	CONSTRAINT pk_clone_slices PRIMARY KEY (clone_id, slice), 
	CONSTRAINT fk_clone_slices_clone_id FOREIGN KEY(clone_id) REFERENCES clones (clone_id) ON DELETE CASCADE
);
INSERT INTO "clone_slices" VALUES('clone_242a958252f3',0,'{"first":null,"until":null}','"925eaac3-55b0-6ccb-851b-417c2d3649bb"',16,'{"digest":{"digest":"dc39f68ee10da60b1cca8f7923280511","count":16},"collections":{"col_jROx7UV5Wb":6,"col_ebdd1Mmct4":5,"col_V2bh8t87Hp":5},"references":[["_internal.collection_id","rewritten",16],["_internal.namespace_id","rewritten",16],["_internal.internal_id","kept",16],["_internal.lineage.root_bucket_id","rewritten",16],["_internal.lineage.path","rewritten",16],["{}","kept",16]],"sample":{}}',0);
CREATE TABLE clone_steps (
	clone_id VARCHAR(32) NOT NULL, 
	step VARCHAR(32) NOT NULL, 
	report JSON NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_clone_steps PRIMARY KEY (clone_id, step), 
	CONSTRAINT fk_clone_steps_clone_id FOREIGN KEY(clone_id) REFERENCES clones (clone_id) ON DELETE CASCADE
);
INSERT INTO "clone_steps" VALUES('clone_242a958252f3','clone_config','{"clone_id":"clone_242a958252f3","step":"clone_config","status":"done","counts":{},"skipped":0,"bytes":0,"seconds":0.0,"resources":[{"name":"copy","source_id":"ns_srcAAAAAA1","target_id":"ns_AbQiwm80YM"}],"warnings":[],"details":{"feature_extractors":0,"payload_indexes":1,"qdrant_collection":"ns_AbQiwm80YM_242a958252f3"},"resumed":false}','2026-11-25 12:00:00.000000');
INSERT INTO "clone_steps" VALUES('clone_242a958252f3','clone_buckets','{"clone_id":"clone_242a958252f3","step":"clone_buckets","status":"done","counts":{"buckets":2,"objects":9},"skipped":0,"bytes":1899,"seconds":0.0,"resources":[{"name":"bucket 0","source_id":"bkt_srcAAAA1","target_id":"bkt_G8EKGTpg"},{"name":"bucket 1","source_id":"bkt_srcAAAA2","target_id":"bkt_iJ7r4Fwj"}],"warnings":[],"details":{"objects_digest":{"digest":"0005ec62df1379e803528094c83b7912","count":9},"object_references":[{"path":"edges[].target_collection_id","outcome":"rewritten","count":3},{"path":"source_details[].source_id","outcome":"rewritten","count":3}]},"resumed":false}','2026-11-25 12:00:00.000000');
INSERT INTO "clone_steps" VALUES('clone_242a958252f3','clone_collections','{"clone_id":"clone_242a958252f3","step":"clone_collections","status":"done","counts":{"collections":3},"skipped":0,"bytes":554,"seconds":0.0,"resources":[{"name":"faces","source_id":"col_srcAAAAA2","target_id":"col_jROx7UV5Wb"},{"name":"labels","source_id":"col_srcAAAAA3","target_id":"col_V2bh8t87Hp"},{"name":"scenes","source_id":"col_srcAAAAA1","target_id":"col_ebdd1Mmct4"}],"warnings":[],"details":{},"resumed":false}','2026-11-25 12:00:00.000000');
CREATE TABLE clones (
	clone_id VARCHAR(32) NOT NULL, 
	organization_id VARCHAR(128) NOT NULL, 
	namespace_name VARCHAR(64) NOT NULL, 
	namespace_key INTEGER NOT NULL, 
	source_namespace_key INTEGER NOT NULL, 
	source_namespace_id VARCHAR(128) NOT NULL, 
	request JSON NOT NULL, 
	principal JSON NOT NULL, 
	"plan" JSON NOT NULL, 
	qdrant_collection TEXT NOT NULL, 
	qdrant_created BOOLEAN NOT NULL, 
	phase VARCHAR(16) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	error TEXT, 
	run_id VARCHAR(64), 
	request_identity VARCHAR(32) NOT NULL, 
	token INTEGER NOT NULL, 
	holder_host TEXT, 
	holder_pid INTEGER, 
	holder_started FLOAT, 
	heartbeat_at DATETIME, 
	parked JSON NOT NULL, 
	seal JSON, 
	response JSON, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	finished_at DATETIME, policy TEXT, restore_test JSON, reserved_at DATETIME, seen_heartbeat_at DATETIME, seen_at DATETIME, points BIGINT, objects BIGINT, points_proven BIGINT, 
	CONSTRAINT pk_clones PRIMARY KEY (clone_id)
);
INSERT INTO "clones" VALUES('clone_242a958252f3','org_acme','copy',2,1,'ns_srcAAAAAA1','{"namespace_identifier":"source","namespace_name":"copy","mode":"copy","include_resources":{"collections":true,"retrievers":true,"taxonomies":false},"description":null,"source_organization_id":null,"ttl_seconds":null,"preserve_resource_ids":false,"restore":false,"on_dangling":"clear","if_exists":"fail","adopt":false,"organization_id":null,"lane":"auto","verify":"full","verify_objects":"none","max_points_per_second":null,"concurrent_slices":null}','{"organization_id":null,"role":"admin","key_id":null}','{"source":{"organization_id":"org_acme","namespace_id":"ns_srcAAAAAA1","namespace_name":"source","qdrant_collection":"source_points"},"target":{"organization_id":"org_acme","namespace_id":"ns_AbQiwm80YM","namespace_name":"copy","replaces_generation":null,"not_in_the_source":{}},"include_resources":{"collections":true,"retrievers":true,"taxonomies":false},"counts":{"buckets":2,"collections":3,"retrievers":2,"taxonomies":0,"objects":9,"points":24},"bytes":{"objects":1716,"points":8685,"disk_needed":10401},"lane":"stream","lane_reason":"it needs a Qdrant server: the embedded Qdrant has no snapshots","equality":"Id exactly; payload exactly (the embedded store keeps payloads as they are); words exactly, as float32 (sparse vectors are stored as they are); text within 1e-06 after normalising (the embedded store gives cosine vectors back normalised in the session that wrote them, and as they were written after that); image, late exactly, as float32 (the embedded store keeps float32, whatever datatype and quantization ask for).","id_map":[{"kind":"namespace","name":"copy","source_id":"ns_srcAAAAAA1","target_id":"ns_AbQiwm80YM"},{"kind":"bucket","name":"bucket 0","source_id":"bkt_srcAAAA1","target_id":"bkt_G8EKGTpg"},{"kind":"bucket","name":"bucket 1","source_id":"bkt_srcAAAA2","target_id":"bkt_iJ7r4Fwj"},{"kind":"collection","name":"scenes","source_id":"col_srcAAAAA1","target_id":"col_ebdd1Mmct4"},{"kind":"collection","name":"faces","source_id":"col_srcAAAAA2","target_id":"col_jROx7UV5Wb"},{"kind":"collection","name":"labels","source_id":"col_srcAAAAA3","target_id":"col_V2bh8t87Hp"},{"kind":"retriever","name":"search","source_id":"ret_srcAAAAAAAAA1","target_id":"ret_ogupHeJ4aJ7X1n"},{"kind":"retriever","name":"search twice","source_id":"ret_srcAAAAAAAAA2","target_id":"ret_X0C3VhlyY3W9A8"}],"reference_counts":{"cleared":2,"rewritten":10},"references":[{"resource":"collection","resource_id":"col_srcAAAAA1","path":"source.bucket_ids[0]","target":"bucket","old":"bkt_srcAAAA1","new":"bkt_G8EKGTpg","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"collection","resource_id":"col_srcAAAAA1","path":"source.bucket_ids[1]","target":"bucket","old":"bkt_srcAAAA2","new":"bkt_iJ7r4Fwj","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"collection","resource_id":"col_srcAAAAA1","path":"taxonomy_applications[0].taxonomy_id","target":"taxonomy","old":"tax_srcAAAAAAA1","new":null,"outcome":"cleared","reason":"taxonomies are not part of the clone","parked":{"taxonomy_id":"tax_srcAAAAAAA1","target_collection_id":"col_srcAAAAA2"},"removed":"taxonomy_applications[0]","version":0},{"resource":"collection","resource_id":"col_srcAAAAA2","path":"source.collection_id","target":"collection","old":"col_srcAAAAA1","new":"col_ebdd1Mmct4","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"collection","resource_id":"col_srcAAAAA2","path":"retriever_enrichments[0].retriever_id","target":"retriever","old":"ret_srcAAAAAAAAA1","new":"ret_ogupHeJ4aJ7X1n","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"collection","resource_id":"col_srcAAAAA3","path":"source.bucket_ids[0]","target":"bucket","old":"bkt_srcAAAA2","new":"bkt_iJ7r4Fwj","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA1","path":"collection_ids[0]","target":"collection","old":"col_srcAAAAA1","new":"col_ebdd1Mmct4","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA1","path":"collection_ids[1]","target":"collection","old":"col_srcAAAAA3","new":"col_V2bh8t87Hp","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA1","path":"stages[0].config.parameters.taxonomy_id","target":"taxonomy","old":"tax_srcAAAAAAA1","new":null,"outcome":"cleared","reason":"taxonomies are not part of the clone","parked":"tax_srcAAAAAAA1","removed":"stages[0].config.parameters.taxonomy_id","version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA2","path":"collection_ids[0]","target":"collection","old":"col_srcAAAAA2","new":"col_jROx7UV5Wb","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA2","path":"stages[0].config.parameters.retriever_id","target":"retriever","old":"ret_srcAAAAAAAAA1","new":"ret_ogupHeJ4aJ7X1n","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA2","path":"stages[0].config.parameters.collection_ids[0]","target":"collection","old":"col_srcAAAAA2","new":"col_jROx7UV5Wb","outcome":"rewritten","reason":"","parked":null,"removed":null,"version":0}],"secrets":{"copied":0,"cleared":0},"unlisted":{"count":0,"places":[]},"put_back":[],"by_hand":[],"cleared_before":[],"ids":{"namespace":["ns_srcAAAAAA1","ns_AbQiwm80YM"],"organization":["org_acme","org_acme"],"ids":{"bucket":{"bkt_srcAAAA1":"bkt_G8EKGTpg","bkt_srcAAAA2":"bkt_iJ7r4Fwj"},"collection":{"col_srcAAAAA1":"col_ebdd1Mmct4","col_srcAAAAA2":"col_jROx7UV5Wb","col_srcAAAAA3":"col_V2bh8t87Hp"},"retriever":{"ret_srcAAAAAAAAA1":"ret_ogupHeJ4aJ7X1n","ret_srcAAAAAAAAA2":"ret_X0C3VhlyY3W9A8"}},"names":{"bucket":["bucket 0","bucket 1"],"collection":["faces","labels","scenes"],"retriever":["search","search twice"]},"left_out":{"taxonomy":["kinds","tax_srcAAAAAAA1","tax_srcAAAAAAA2","tree"]},"restored_from":null},"qdrant_config":{"vectors":{"text":{"size":6,"distance":"Cosine"},"image":{"size":4,"distance":"Dot"},"late":{"size":2,"distance":"Dot","multivector_config":{"comparator":"max_sim"}}},"sparse_vectors":{"words":{}},"payload_schema":{"lang":{"data_type":"keyword"},"_taxonomy_tax_srcAAAAAAA1_label":{"data_type":"keyword"}}},"transport":"in this process","slices":1,"catalog_mark":"20ad0fa10097e183f3353500871d3d259e174b696fa6faa3eb32c015890f861f","source_mark":"24 points","warnings":["2 configuration references point outside the clone and are cleared.","The clone refers to the source''s S3 files: whoever deletes files with the source deletes them for the clone, and the platform''s own delete of the clone, its buckets or objects may delete them for the source."]}','ns_AbQiwm80YM_242a958252f3',1,'copying','cloning',NULL,'run-1','5fa8ac82d5cf85582e3fabfe72948209',1,'a-host-that-is-gone/0',4711,1.68147100000381469727e+04,'2026-11-25 12:00:00.000000','[{"resource":"collection","resource_id":"col_srcAAAAA1","path":"taxonomy_applications[0].taxonomy_id","target":"taxonomy","old":"tax_srcAAAAAAA1","new":null,"outcome":"cleared","reason":"taxonomies are not part of the clone","parked":{"taxonomy_id":"tax_srcAAAAAAA1","target_collection_id":"col_srcAAAAA2"},"removed":"taxonomy_applications[0]","version":0},{"resource":"retriever","resource_id":"ret_srcAAAAAAAAA1","path":"stages[0].config.parameters.taxonomy_id","target":"taxonomy","old":"tax_srcAAAAAAA1","new":null,"outcome":"cleared","reason":"taxonomies are not part of the clone","parked":"tax_srcAAAAAAA1","removed":"stages[0].config.parameters.taxonomy_id","version":0}]',NULL,NULL,'2026-11-25 12:00:00.000000','2026-11-25 12:00:00.000000',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE collections (
	namespace_key INTEGER NOT NULL, 
	collection_id VARCHAR(128) NOT NULL, 
	collection_name VARCHAR(100) NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_collections PRIMARY KEY (namespace_key, collection_id), 
	CONSTRAINT fk_collections_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE, 
	CONSTRAINT uq_collections_namespace_key_collection_name UNIQUE (namespace_key, collection_name)
);
INSERT INTO "collections" VALUES(1,'col_srcAAAAA1','scenes','{"source":{"type":"bucket","bucket_ids":["bkt_srcAAAA1","bkt_srcAAAA2"]},"taxonomy_applications":[{"taxonomy_id":"tax_srcAAAAAAA1","target_collection_id":"col_srcAAAAA2"}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "collections" VALUES(1,'col_srcAAAAA2','faces','{"source":{"type":"collection","collection_id":"col_srcAAAAA1"},"retriever_enrichments":[{"retriever_id":"ret_srcAAAAAAAAA1"}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "collections" VALUES(1,'col_srcAAAAA3','labels','{"source":{"type":"bucket","bucket_ids":["bkt_srcAAAA2"]},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "collections" VALUES(2,'col_ebdd1Mmct4','scenes','{"source":{"type":"bucket","bucket_ids":["bkt_G8EKGTpg","bkt_iJ7r4Fwj"]},"taxonomy_applications":[],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "collections" VALUES(2,'col_jROx7UV5Wb','faces','{"source":{"type":"collection","collection_id":"col_ebdd1Mmct4"},"retriever_enrichments":[{"retriever_id":"ret_ogupHeJ4aJ7X1n"}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "collections" VALUES(2,'col_V2bh8t87Hp','labels','{"source":{"type":"bucket","bucket_ids":["bkt_iJ7r4Fwj"]},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE idempotency_keys (
	key_hash VARCHAR(64) NOT NULL, 
	request_hash VARCHAR(64) NOT NULL, 
	answer JSON, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_idempotency_keys PRIMARY KEY (key_hash)
);
CREATE TABLE loads (
	qdrant_collection VARCHAR(255) NOT NULL, 
	namespace_id VARCHAR(128) NOT NULL, 
	holder_host TEXT NOT NULL, 
	holder_pid INTEGER NOT NULL, 
	holder_started FLOAT NOT NULL, 
	heartbeat_at DATETIME NOT NULL, seen_heartbeat_at DATETIME, seen_at DATETIME, 
	CONSTRAINT pk_loads PRIMARY KEY (qdrant_collection)
);
CREATE TABLE namespaces (
	namespace_key INTEGER NOT NULL, 
	organization_id VARCHAR(128) NOT NULL, 
	namespace_id VARCHAR(128) NOT NULL, 
	namespace_name VARCHAR(64) NOT NULL, 
	role VARCHAR(8) NOT NULL, 
	generation INTEGER NOT NULL, 
	document JSON NOT NULL, 
	qdrant_url TEXT, 
	qdrant_config JSON, 
	clone_status VARCHAR(16), 
	clone_id VARCHAR(32), 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	expires_at DATETIME, held_at DATETIME, turn INTEGER, loaded_at DATETIME, 
	CONSTRAINT pk_namespaces PRIMARY KEY (namespace_key), 
	CONSTRAINT fk_namespaces_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (organization_id), 
	CONSTRAINT uq_namespaces_namespace_id_generation UNIQUE (namespace_id, generation)
);
INSERT INTO "namespaces" VALUES(1,'org_acme','ns_srcAAAAAA1','source','live',1,'{"infrastructure":{"qdrant_collection":"source_points"},"payload_indexes":[{"field_name":"lang","type":"keyword"}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}',NULL,'{"vectors":{"text":{"size":6,"distance":"Cosine"},"image":{"size":4,"distance":"Dot"},"late":{"size":2,"distance":"Dot","multivector_config":{"comparator":"max_sim"}}},"sparse_vectors":{"words":{}},"payload_schema":{"lang":{"data_type":"keyword"},"_taxonomy_tax_srcAAAAAAA1_label":{"data_type":"keyword"}}}',NULL,NULL,'2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000',NULL,NULL,NULL,'2026-05-06 07:08:09.000000');
INSERT INTO "namespaces" VALUES(2,'org_acme','ns_AbQiwm80YM','copy','live',1,'{"infrastructure":{"qdrant_collection":"ns_AbQiwm80YM_242a958252f3"},"payload_indexes":[{"field_name":"lang","type":"keyword"}],"marker":"first","created_at":"2026-11-25T12:00:00Z","updated_at":"2026-11-25T12:00:00Z"}',NULL,'{"vectors":{"text":{"size":6,"distance":"Cosine"},"image":{"size":4,"distance":"Dot"},"late":{"size":2,"distance":"Dot","multivector_config":{"comparator":"max_sim"}}},"sparse_vectors":{"words":{}},"payload_schema":{"lang":{"data_type":"keyword"},"_taxonomy_tax_srcAAAAAAA1_label":{"data_type":"keyword"}}}','cloning','clone_242a958252f3','2026-11-25 12:00:00.000000','2026-11-25 12:00:00.000000',NULL,NULL,NULL,NULL);
CREATE TABLE objects (
	namespace_key INTEGER NOT NULL, 
	object_id VARCHAR(255) NOT NULL, 
	bucket_id VARCHAR(128) NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_objects PRIMARY KEY (namespace_key, object_id), 
	CONSTRAINT fk_objects_namespace_key_bucket_id FOREIGN KEY(namespace_key, bucket_id) REFERENCES buckets (namespace_key, bucket_id) ON DELETE CASCADE, 
	CONSTRAINT fk_objects_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE
);
INSERT INTO "objects" VALUES(1,'obj_00000','bkt_srcAAAA1','{"blobs":[{"properties":{"url":"s3://files/0.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_srcAAAA2"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_srcAAAAA1"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00001','bkt_srcAAAA2','{"blobs":[{"properties":{"url":"s3://files/1.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00002','bkt_srcAAAA1','{"blobs":[{"properties":{"url":"s3://files/2.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00003','bkt_srcAAAA2','{"blobs":[{"properties":{"url":"s3://files/3.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_srcAAAA2"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_srcAAAAA1"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00004','bkt_srcAAAA1','{"blobs":[{"properties":{"url":"s3://files/4.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00005','bkt_srcAAAA2','{"blobs":[{"properties":{"url":"s3://files/5.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00006','bkt_srcAAAA1','{"blobs":[{"properties":{"url":"s3://files/6.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_srcAAAA2"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_srcAAAAA1"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00007','bkt_srcAAAA2','{"blobs":[{"properties":{"url":"s3://files/7.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(1,'obj_00008','bkt_srcAAAA1','{"blobs":[{"properties":{"url":"s3://files/8.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00000','bkt_G8EKGTpg','{"blobs":[{"properties":{"url":"s3://files/0.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_iJ7r4Fwj"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_ebdd1Mmct4"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00001','bkt_iJ7r4Fwj','{"blobs":[{"properties":{"url":"s3://files/1.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00002','bkt_G8EKGTpg','{"blobs":[{"properties":{"url":"s3://files/2.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00003','bkt_iJ7r4Fwj','{"blobs":[{"properties":{"url":"s3://files/3.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_iJ7r4Fwj"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_ebdd1Mmct4"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00004','bkt_G8EKGTpg','{"blobs":[{"properties":{"url":"s3://files/4.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00005','bkt_iJ7r4Fwj','{"blobs":[{"properties":{"url":"s3://files/5.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00006','bkt_G8EKGTpg','{"blobs":[{"properties":{"url":"s3://files/6.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z","source_details":[{"type":"bucket","source_id":"bkt_iJ7r4Fwj"}],"edges":[{"target_object_id":"obj_00000","target_collection_id":"col_ebdd1Mmct4"}]}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00007','bkt_iJ7r4Fwj','{"blobs":[{"properties":{"url":"s3://files/7.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "objects" VALUES(2,'obj_00008','bkt_G8EKGTpg','{"blobs":[{"properties":{"url":"s3://files/8.txt"}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE organizations (
	organization_id VARCHAR(128) NOT NULL, 
	internal_id VARCHAR(128) NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_organizations PRIMARY KEY (organization_id)
);
INSERT INTO "organizations" VALUES('org_acme','org_acme','2026-05-06 07:08:09.000000');
CREATE TABLE retrievers (
	namespace_key INTEGER NOT NULL, 
	retriever_id VARCHAR(128) NOT NULL, 
	retriever_name TEXT NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_retrievers PRIMARY KEY (namespace_key, retriever_id), 
	CONSTRAINT fk_retrievers_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE, 
	CONSTRAINT uq_retrievers_namespace_key_retriever_name UNIQUE (namespace_key, retriever_name)
);
INSERT INTO "retrievers" VALUES(1,'ret_srcAAAAAAAAA1','search','{"collection_ids":["col_srcAAAAA1","col_srcAAAAA3"],"stages":[{"stage_name":"enrich","config":{"stage_id":"taxonomy_enrich","parameters":{"taxonomy_id":"tax_srcAAAAAAA1"}}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "retrievers" VALUES(1,'ret_srcAAAAAAAAA2','search twice','{"collection_ids":["col_srcAAAAA2"],"stages":[{"stage_name":"inner","config":{"parameters":{"retriever_id":"ret_srcAAAAAAAAA1","collection_ids":["col_srcAAAAA2"]}}}],"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE taxonomies (
	namespace_key INTEGER NOT NULL, 
	taxonomy_id VARCHAR(128) NOT NULL, 
	version INTEGER NOT NULL, 
	taxonomy_name TEXT NOT NULL, 
	document JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_taxonomies PRIMARY KEY (namespace_key, taxonomy_id, version), 
	CONSTRAINT fk_taxonomies_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE, 
	CONSTRAINT uq_taxonomies_namespace_key_taxonomy_name_version UNIQUE (namespace_key, taxonomy_name, version)
);
INSERT INTO "taxonomies" VALUES(1,'tax_srcAAAAAAA1',1,'kinds','{"config":{"taxonomy_type":"flat","retriever_id":"ret_srcAAAAAAAAA1","source_collection":{"collection_id":"col_srcAAAAA3"}},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "taxonomies" VALUES(1,'tax_srcAAAAAAA1',2,'kinds','{"config":{"taxonomy_type":"flat","retriever_id":"ret_srcAAAAAAAAA1","source_collection":{"collection_id":"col_srcAAAAA3"}},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
INSERT INTO "taxonomies" VALUES(1,'tax_srcAAAAAAA2',1,'tree','{"config":{"taxonomy_type":"hierarchical","hierarchical_nodes":[{"collection_id":"col_srcAAAAA1","parent_collection_id":null},{"collection_id":"col_srcAAAAA2","parent_collection_id":"col_srcAAAAA1"}]},"marker":"first","created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:04:06Z"}','2026-01-02 03:04:05.000000','2026-01-02 03:04:06.000000');
CREATE TABLE templates (
	template_id VARCHAR(128) NOT NULL, 
	organization_id VARCHAR(128) NOT NULL, 
	namespace_key INTEGER NOT NULL, 
	template_name VARCHAR(100) NOT NULL, 
	description TEXT NOT NULL, 
	category TEXT, 
	tags JSON NOT NULL, 
	source_namespace_id VARCHAR(128) NOT NULL, 
	created_by VARCHAR(32), 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_templates PRIMARY KEY (template_id), 
	CONSTRAINT fk_templates_namespace_key FOREIGN KEY(namespace_key) REFERENCES namespaces (namespace_key) ON DELETE CASCADE, 
	CONSTRAINT fk_templates_organization_id FOREIGN KEY(organization_id) REFERENCES organizations (organization_id)
);
CREATE INDEX ix_clones_namespace_key ON clones (namespace_key);
CREATE INDEX ix_clones_organization_id_namespace_name ON clones (organization_id, namespace_name);
CREATE UNIQUE INDEX uq_namespaces_live_id ON namespaces (namespace_id) WHERE role = 'live';
CREATE UNIQUE INDEX uq_namespaces_live_name ON namespaces (organization_id, namespace_name) WHERE role = 'live';
CREATE UNIQUE INDEX uq_namespaces_next_name ON namespaces (organization_id, namespace_name) WHERE role = 'next';
CREATE INDEX ix_objects_namespace_key_bucket_id ON objects (namespace_key, bucket_id);
CREATE INDEX ix_clone_runs_clone_id ON clone_runs (clone_id);
CREATE INDEX ix_templates_organization_id ON templates (organization_id);
CREATE INDEX ix_idempotency_keys_created_at ON idempotency_keys (created_at);
COMMIT;
