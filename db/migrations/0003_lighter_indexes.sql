ALTER TABLE "sessions" DROP CONSTRAINT "sessions_account_id_accounts_id_fk";
--> statement-breakpoint
DROP INDEX "audit_events_flow_id_index";--> statement-breakpoint
DROP INDEX "flow_steps_machine_at_index";--> statement-breakpoint
DROP INDEX "flows_machine_created_at_index";