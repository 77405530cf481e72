rule benchmark:
    input:
        stamp=STAMPS / "benchmark.json",
        head="models/head",
        clean="data/prompts/clean.parquet",
    output:
        cells="reports/benchmark/cells.jsonl",
        manifest="reports/benchmark/cells.jsonl.manifest.json",
        metrics="reports/metrics/benchmark.json",
    log:
        "logs/benchmark.log",
    threads: CORES  # nothing else runs beside a measurement
    resources:
        mem_mb=64000,
        runtime=480,
    shell:
        "eyrie benchmark --threads {threads} --log {log}"


rule report:
    input:
        stamp=STAMPS / "report.json",
        metrics=[
            "reports/metrics/select_prompts.json",
            "reports/metrics/filter_prompts.json",
            "reports/metrics/generate_responses.json",
            "reports/metrics/build_vocab.json",
            "reports/metrics/extract_features.json",
            "reports/metrics/train_head.json",
            "reports/metrics/evaluate_head.json",
            "reports/metrics/benchmark.json",
        ],
        cells="reports/benchmark/cells.jsonl",
        curves="reports/curves",
        head="models/head",
        data_card="reports/data_card.md",
    output:
        report="reports/report.html",
        manifest="reports/report.html.manifest.json",
        chart="reports/chart.png",
    log:
        "logs/report.log",
    resources:
        mem_mb=4000,
        runtime=30,
    shell:
        "eyrie report --log {log}"
