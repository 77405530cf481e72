rule train_head:
    input:
        stamp=STAMPS / "train_head.json",
        features=expand("data/features/shard-{shard}.arrow", shard=SHARDS),
        vocab="data/vocab/vocab_map.safetensors",
    output:
        head=directory("models/head"),
        manifest="models/head.manifest.json",
        curves=directory("reports/curves"),
        metrics="reports/metrics/train_head.json",
    log:
        "logs/train_head.log",
    threads: 1  # a head's operations are small: 0.19 s a step on the demo, 0.28 s with two threads
    resources:
        mem_mb=64000,
        runtime=1440,
    shell:
        "eyrie train_head --threads {threads} --log {log}"


rule evaluate_head:
    input:
        stamp=STAMPS / "evaluate_head.json",
        head="models/head",
        clean="data/prompts/clean.parquet",
    output:
        outputs="reports/evaluation/outputs.jsonl",
        manifest="reports/evaluation/outputs.jsonl.manifest.json",
        metrics="reports/metrics/evaluate_head.json",
    log:
        "logs/evaluate_head.log",
    threads: CORES
    resources:
        mem_mb=32000,
        runtime=240,
    shell:
        "eyrie evaluate_head --threads {threads} --log {log}"
