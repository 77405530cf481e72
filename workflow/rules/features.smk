rule build_vocab:
    input:
        stamp=STAMPS / "build_vocab.json",
        responses=expand("data/responses/shard-{shard}.parquet", shard=SHARDS),
    output:
        vocab="data/vocab/vocab_map.safetensors",
        manifest="data/vocab/vocab_map.safetensors.manifest.json",
        metrics="reports/metrics/build_vocab.json",
    log:
        "logs/build_vocab.log",
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "eyrie build_vocab --log {log}"


rule extract_features_shard:
    input:
        stamp=STAMPS / "extract_features.json",
        responses="data/responses/shard-{shard}.parquet",
    output:
        features="data/features/shard-{shard}.arrow",
        manifest="data/features/shard-{shard}.arrow.manifest.json",
    log:
        "logs/extract_features-{shard}.log",
    threads: SHARD_THREADS
    resources:
        mem_mb=32000,
        runtime=480,
    shell:
        "eyrie extract_features --shard {wildcards.shard} --threads {threads} --log {log}"


rule extract_features:
    input:
        stamp=STAMPS / "extract_features.json",
        features=expand("data/features/shard-{shard}.arrow", shard=SHARDS),
    output:
        metrics="reports/metrics/extract_features.json",
        manifest="reports/metrics/extract_features.json.manifest.json",
    log:
        "logs/extract_features.log",
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "eyrie extract_features --log {log}"
