CREATE TABLE "factors" (
	"id" uuid PRIMARY KEY NOT NULL,
	"account_id" uuid NOT NULL,
	"kind" text NOT NULL,
	"label" text,
	"state" text NOT NULL,
	"secret_sealed" text,
	"public_key" text,
	"credential_id" text,
	"contact_id" uuid,
	"last_step" bigint,
	"codes" text[] DEFAULT '{}' NOT NULL,
	"details" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"confirmed_at" timestamp with time zone,
	"last_used_at" timestamp with time zone,
	"ended_at" timestamp with time zone
);
--> statement-breakpoint
ALTER TABLE "sessions" ADD COLUMN "downgraded_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "factors" ADD CONSTRAINT "factors_account_id_accounts_id_fk" FOREIGN KEY ("account_id") REFERENCES "public"."accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "factors_of_account" ON "factors" USING btree ("account_id") WHERE "factors"."ended_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "factors_credential" ON "factors" USING btree ("credential_id") WHERE "factors"."ended_at" is null;--> statement-breakpoint
CREATE UNIQUE INDEX "factors_one_each" ON "factors" USING btree ("account_id","kind") WHERE "factors"."kind" in ('totp', 'backup_codes') and "factors"."state" in ('active', 'locked');