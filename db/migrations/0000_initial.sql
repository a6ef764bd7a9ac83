CREATE TABLE "accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"status" text NOT NULL,
	"tier" text NOT NULL,
	"event_seq" bigint DEFAULT 0 NOT NULL,
	"roles" text[] DEFAULT '{}' NOT NULL,
	"username" text,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"last_login_at" timestamp with time zone,
	"deleted_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "audit_events" (
	"id" uuid PRIMARY KEY NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"type" text NOT NULL,
	"outcome" text NOT NULL,
	"reason" text,
	"account_id" uuid,
	"actor" text NOT NULL,
	"flow_id" uuid,
	"session_id" uuid,
	"network" text,
	"user_agent" text,
	"request_id" text,
	"data" jsonb
);
--> statement-breakpoint
CREATE TABLE "contacts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"type" text NOT NULL,
	"canonical" text NOT NULL,
	"value" text NOT NULL,
	"account_id" uuid,
	"verified_at" timestamp with time zone,
	"is_primary" boolean DEFAULT true NOT NULL,
	"created_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "credentials" (
	"account_id" uuid PRIMARY KEY NOT NULL,
	"password_hash" text,
	"password_version" integer DEFAULT 1 NOT NULL,
	"password_changed_at" timestamp with time zone,
	"pin_hash" text
);
--> statement-breakpoint
CREATE TABLE "devices" (
	"account_id" uuid NOT NULL,
	"device_id" text NOT NULL,
	"first_seen_at" timestamp with time zone NOT NULL,
	"last_seen_at" timestamp with time zone NOT NULL,
	CONSTRAINT "devices_account_id_device_id_pk" PRIMARY KEY("account_id","device_id")
);
--> statement-breakpoint
CREATE TABLE "flow_stats" (
	"machine" text NOT NULL,
	"machine_version" integer NOT NULL,
	"day" date NOT NULL,
	"state" text NOT NULL,
	"entered" integer NOT NULL,
	"exited" integer NOT NULL,
	"reached" integer NOT NULL,
	"ended" integer NOT NULL,
	"stays" integer[] NOT NULL,
	CONSTRAINT "flow_stats_machine_day_machine_version_state_pk" PRIMARY KEY("machine","day","machine_version","state")
);
--> statement-breakpoint
CREATE TABLE "flow_stats_cursor" (
	"name" text PRIMARY KEY NOT NULL,
	"step_id" uuid NOT NULL,
	"caught_up_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "flow_steps" (
	"id" uuid PRIMARY KEY NOT NULL,
	"flow_id" uuid NOT NULL,
	"seq" integer NOT NULL,
	"machine" text NOT NULL,
	"machine_version" integer NOT NULL,
	"at" timestamp with time zone NOT NULL,
	"event" text NOT NULL,
	"edges" text[] NOT NULL,
	"from_state" text NOT NULL,
	"to_state" text NOT NULL,
	"refused" boolean NOT NULL,
	"reason" text,
	"actor" text NOT NULL,
	"request_id" text,
	"context" jsonb
);
--> statement-breakpoint
CREATE TABLE "flows" (
	"id" uuid PRIMARY KEY NOT NULL,
	"machine" text NOT NULL,
	"machine_version" integer NOT NULL,
	"purpose" text,
	"version" integer NOT NULL,
	"state" text NOT NULL,
	"status" text NOT NULL,
	"snapshot" jsonb NOT NULL,
	"account_id" uuid,
	"contact_id" uuid,
	"token_hash" text,
	"token_generation" bigint,
	"token_expires_at" timestamp with time zone,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"state_entered_at" timestamp with time zone NOT NULL,
	"next_due_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "idempotency_records" (
	"key" text PRIMARY KEY NOT NULL,
	"fingerprint" text NOT NULL,
	"status" integer,
	"answer" text,
	"created_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "kyc_records" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"flow_id" uuid NOT NULL,
	"document_type" text NOT NULL,
	"number_sealed" text NOT NULL,
	"number_hash" text NOT NULL,
	"number_last4" text NOT NULL,
	"status" text NOT NULL,
	"reason" text,
	"retryable" boolean,
	"submitted_at" timestamp with time zone NOT NULL,
	"decided_at" timestamp with time zone,
	"decided_by" text
);
--> statement-breakpoint
CREATE TABLE "outbox" (
	"id" text PRIMARY KEY NOT NULL,
	"topic" text NOT NULL,
	"account_id" uuid,
	"account_seq" bigint,
	"flow_id" uuid,
	"payload" jsonb NOT NULL,
	"status" text NOT NULL,
	"attempts" integer DEFAULT 0 NOT NULL,
	"due_at" timestamp with time zone NOT NULL,
	"leased_until" timestamp with time zone,
	"last_error" text,
	"created_at" timestamp with time zone NOT NULL,
	"done_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "profiles" (
	"account_id" uuid PRIMARY KEY NOT NULL,
	"display_name" text,
	"first_name" text,
	"last_name" text,
	"birth_date" date,
	"address" jsonb,
	"timezone" text,
	"locale" text,
	"avatar_url" text,
	"preferences" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"completed_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "sessions" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"flow_id" uuid,
	"device_id" text,
	"user_agent" text,
	"network" text,
	"country" text,
	"amr" text[] NOT NULL,
	"acr" text NOT NULL,
	"auth_time" timestamp with time zone NOT NULL,
	"persistent" boolean NOT NULL,
	"scope" text[] NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"last_active_at" timestamp with time zone NOT NULL,
	"idle_expires_at" timestamp with time zone NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"revoked_at" timestamp with time zone,
	"revoke_reason" text,
	"refresh_generation" integer NOT NULL,
	"refresh_hash" text NOT NULL,
	"refresh_rotated_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "signing_keys" (
	"kid" text PRIMARY KEY NOT NULL,
	"alg" text NOT NULL,
	"status" text NOT NULL,
	"public_jwk" jsonb NOT NULL,
	"private_sealed" text NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"changed_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "throttles" (
	"key" text PRIMARY KEY NOT NULL,
	"count" integer NOT NULL,
	"window_ends_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "webhook_receipts" (
	"id" text PRIMARY KEY NOT NULL,
	"received_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
ALTER TABLE "contacts" ADD CONSTRAINT "contacts_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "credentials" ADD CONSTRAINT "credentials_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "devices" ADD CONSTRAINT "devices_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "kyc_records" ADD CONSTRAINT "kyc_records_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "kyc_records" ADD CONSTRAINT "kyc_records_flow_id_flows_id_fk" FOREIGN KEY ("flow_id") REFERENCES "public"."flows"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "profiles" ADD CONSTRAINT "profiles_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "sessions" ADD CONSTRAINT "sessions_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "accounts_deleted_at_index" ON "accounts" USING btree ("deleted_at") WHERE "accounts"."deleted_at" is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "accounts_username" ON "accounts" USING btree (lower("username"));--> statement-breakpoint
CREATE INDEX "audit_events_account_id_id_index" ON "audit_events" USING btree ("account_id","id");--> statement-breakpoint
CREATE INDEX "audit_events_flow_id_index" ON "audit_events" USING btree ("flow_id");--> statement-breakpoint
CREATE UNIQUE INDEX "contacts_type_canonical_index" ON "contacts" USING btree ("type","canonical");--> statement-breakpoint
CREATE INDEX "contacts_account_id_index" ON "contacts" USING btree ("account_id");--> statement-breakpoint
CREATE INDEX "flow_steps_flow_id_id_index" ON "flow_steps" USING btree ("flow_id","id");--> statement-breakpoint
CREATE INDEX "flow_steps_machine_at_index" ON "flow_steps" USING btree ("machine","at");--> statement-breakpoint
CREATE INDEX "flows_machine_state_state_entered_at_index" ON "flows" USING btree ("machine","state","state_entered_at");--> statement-breakpoint
CREATE INDEX "flows_contact_id_machine_created_at_index" ON "flows" USING btree ("contact_id","machine","created_at");--> statement-breakpoint
CREATE INDEX "flows_account_id_machine_created_at_index" ON "flows" USING btree ("account_id","machine","created_at");--> statement-breakpoint
CREATE INDEX "flows_next_due_at_index" ON "flows" USING btree ("next_due_at") WHERE "flows"."next_due_at" is not null and "flows"."status" = 'active';--> statement-breakpoint
CREATE INDEX "flows_machine_created_at_index" ON "flows" USING btree ("machine","created_at");--> statement-breakpoint
CREATE INDEX "idempotency_records_expires_at_index" ON "idempotency_records" USING btree ("expires_at");--> statement-breakpoint
CREATE INDEX "kyc_records_account_id_submitted_at_index" ON "kyc_records" USING btree ("account_id","submitted_at");--> statement-breakpoint
CREATE UNIQUE INDEX "kyc_records_verified_number" ON "kyc_records" USING btree ("document_type","number_hash") WHERE "kyc_records"."status" = 'VERIFIED';--> statement-breakpoint
CREATE UNIQUE INDEX "kyc_records_one_verified" ON "kyc_records" USING btree ("account_id") WHERE "kyc_records"."status" = 'VERIFIED';--> statement-breakpoint
CREATE INDEX "outbox_due" ON "outbox" USING btree ("due_at","account_seq") WHERE "outbox"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "outbox_heads" ON "outbox" USING btree ("account_id","account_seq") WHERE "outbox"."status" = 'pending';--> statement-breakpoint
CREATE INDEX "outbox_dead" ON "outbox" USING btree ("flow_id") WHERE "outbox"."status" = 'dead';--> statement-breakpoint
CREATE INDEX "outbox_flow_id_index" ON "outbox" USING btree ("flow_id");--> statement-breakpoint
CREATE INDEX "sessions_account_id_index" ON "sessions" USING btree ("account_id") WHERE "sessions"."revoked_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "signing_keys_one_each" ON "signing_keys" USING btree ("status") WHERE "signing_keys"."status" in ('active', 'next');