-- Rows that are updated again and again leave room on their page, so that the new version needs no entry in any index.
ALTER TABLE "accounts" SET (fillfactor = 80);--> statement-breakpoint
ALTER TABLE "sessions" SET (fillfactor = 80);--> statement-breakpoint
ALTER TABLE "flows" SET (fillfactor = 80);--> statement-breakpoint
ALTER TABLE "outbox" SET (fillfactor = 80);
