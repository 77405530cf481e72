rule benchmark:
    input:
        stamp=STAMPS / "benchmark.json",
        head=rules.train_head.output.head,
        clean=rules.filter_prompts.output.clean,
    output:
        cells="reports/benchmark/cells.jsonl",
        manifest="reports/benchmark/cells.jsonl.manifest.json",
        metrics="reports/metrics/benchmark.json",
    log:
        "logs/benchmark.log",
    benchmark:
        "logs/benchmark.tsv"
    threads: workflow.cores or 1  # nothing else runs beside a measurement
    shell:
        "eyrie benchmark --threads {threads} --log {log}"


rule report:
    input:
        stamp=STAMPS / "report.json",
        metrics=[
            rules.select_prompts.output.metrics,
            rules.filter_prompts.output.metrics,
            rules.generate_responses.output.metrics,
            rules.build_vocab.output.metrics,
            rules.extract_features.output.metrics,
            rules.train_head.output.metrics,
            rules.evaluate_head.output.metrics,
            rules.benchmark.output.metrics,
        ],
        cells=rules.benchmark.output.cells,
        curves=rules.train_head.output.curves,
        head=rules.train_head.output.head,
        data_card=rules.filter_prompts.output.data_card,
    output:
        report="reports/report.html",
        manifest="reports/report.html.manifest.json",
        chart="reports/chart.png",
    log:
        "logs/report.log",
    benchmark:
        "logs/report.tsv"
    shell:
        "eyrie report --log {log}"
