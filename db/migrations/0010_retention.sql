CREATE INDEX "flows_ended" ON "flows" USING btree ("updated_at") WHERE "flows"."status" in ('done', 'archived');--> statement-breakpoint
CREATE INDEX "kyc_records_flow_id_index" ON "kyc_records" USING btree ("flow_id");--> statement-breakpoint
CREATE INDEX "outbox_done" ON "outbox" USING btree ("done_at") WHERE "outbox"."status" = 'done';--> statement-breakpoint
CREATE INDEX "sessions_ended" ON "sessions" USING btree (coalesce("revoked_at", "expires_at"));--> statement-breakpoint
CREATE INDEX "webhook_receipts_received_at_index" ON "webhook_receipts" USING btree ("received_at");