ALTER TABLE "idempotency_records" ADD COLUMN "run" uuid;--> statement-breakpoint
ALTER TABLE "idempotency_records" ADD COLUMN "committed_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "idempotency_records" ADD COLUMN "steps" uuid[];