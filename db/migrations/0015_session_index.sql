DROP INDEX "sessions_account_id_index";--> statement-breakpoint
CREATE INDEX "sessions_account_id_revoked_at_index" ON "sessions" USING btree ("account_id","revoked_at");