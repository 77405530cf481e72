rule generate_responses_shard:
    input:
        stamp=STAMPS / "generate_responses.json",
        clean="data/prompts/clean.parquet",
    output:
        responses="data/responses/shard-{shard}.parquet",
        manifest="data/responses/shard-{shard}.parquet.manifest.json",
    log:
        "logs/generate_responses-{shard}.log",
    threads: SHARD_THREADS
    resources:
        mem_mb=32000,
        runtime=720,
    shell:
        "eyrie generate_responses --shard {wildcards.shard} --threads {threads} --log {log}"


rule generate_responses:
    input:
        stamp=STAMPS / "generate_responses.json",
        clean="data/prompts/clean.parquet",
        responses=expand("data/responses/shard-{shard}.parquet", shard=SHARDS),
    output:
        metrics="reports/metrics/generate_responses.json",
        manifest="reports/metrics/generate_responses.json.manifest.json",
    log:
        "logs/generate_responses.log",
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "eyrie generate_responses --log {log}"
