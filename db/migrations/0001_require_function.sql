-- Aborts the whole statement when a commit met rows that changed since they were read; 40001 tells the caller to decide again.
CREATE FUNCTION vestibule_require(ok boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF ok IS NOT TRUE THEN
    RAISE EXCEPTION 'stale' USING ERRCODE = '40001';
  END IF;
  RETURN true;
END
$$;
