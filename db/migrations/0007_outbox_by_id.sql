-- A flow's effects are found by the beginning of their ids, which needs byte order; the index by flow goes.
ALTER TABLE "outbox" ALTER COLUMN "id" TYPE text COLLATE "C";--> statement-breakpoint
DROP INDEX "outbox_flow_id_index";
