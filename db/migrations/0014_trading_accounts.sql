CREATE TABLE "trading_accounts" (
	"id" uuid PRIMARY KEY NOT NULL,
	"owner_id" uuid NOT NULL,
	"flow_id" uuid NOT NULL,
	"broker" text NOT NULL,
	"broker_user_id" text NOT NULL,
	"account_name" text,
	"preferences" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"api_key_last4" text,
	"key_version" integer NOT NULL,
	"wrapping_key" text,
	"wrapped_key" text,
	"key_check" text,
	"sealed_fields" jsonb NOT NULL,
	"created_at" timestamp with time zone NOT NULL,
	"updated_at" timestamp with time zone NOT NULL,
	"unlinked_at" timestamp with time zone
);
--> statement-breakpoint
CREATE TABLE "trading_shares" (
	"id" uuid PRIMARY KEY NOT NULL,
	"trading_account_id" uuid NOT NULL,
	"owner_id" uuid NOT NULL,
	"member_id" uuid NOT NULL,
	"access" text NOT NULL,
	"status" text NOT NULL,
	"invited_at" timestamp with time zone NOT NULL,
	"accepted_at" timestamp with time zone,
	"expires_at" timestamp with time zone,
	"access_until" timestamp with time zone,
	"ended_at" timestamp with time zone,
	"end_reason" text
);
--> statement-breakpoint
ALTER TABLE "trading_shares" ADD CONSTRAINT "trading_shares_trading_account_id_trading_accounts_id_fk" FOREIGN KEY ("trading_account_id") REFERENCES "public"."trading_accounts"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "trading_accounts_linked_once" ON "trading_accounts" USING btree ("owner_id","broker","broker_user_id") WHERE "trading_accounts"."unlinked_at" is null;--> statement-breakpoint
CREATE INDEX "trading_accounts_owner_id_created_at_index" ON "trading_accounts" USING btree ("owner_id","created_at");--> statement-breakpoint
CREATE UNIQUE INDEX "trading_shares_one_each" ON "trading_shares" USING btree ("trading_account_id","member_id") WHERE "trading_shares"."status" <> 'ended';--> statement-breakpoint
CREATE INDEX "trading_shares_member_id_index" ON "trading_shares" USING btree ("member_id") WHERE "trading_shares"."status" <> 'ended';--> statement-breakpoint
CREATE INDEX "trading_shares_owner_id_index" ON "trading_shares" USING btree ("owner_id") WHERE "trading_shares"."status" <> 'ended';--> statement-breakpoint
CREATE INDEX "trading_shares_expires_at_index" ON "trading_shares" USING btree ("expires_at") WHERE "trading_shares"."status" <> 'ended';