rule select_prompts:
    input:
        stamp=STAMPS / "select_prompts.json",
    output:
        selected="data/prompts/selected.parquet",
        manifest="data/prompts/selected.parquet.manifest.json",
        metrics="reports/metrics/select_prompts.json",
    log:
        "logs/select_prompts.log",
    resources:
        mem_mb=8000,
        runtime=120,
    shell:
        "eyrie select_prompts --log {log}"


rule filter_prompts:
    input:
        stamp=STAMPS / "filter_prompts.json",
        selected="data/prompts/selected.parquet",
        selection_metrics="reports/metrics/select_prompts.json",
    output:
        clean="data/prompts/clean.parquet",
        manifest="data/prompts/clean.parquet.manifest.json",
        data_card="reports/data_card.md",
        metrics="reports/metrics/filter_prompts.json",
    log:
        "logs/filter_prompts.log",
    threads: CORES
    resources:
        mem_mb=8000,
        runtime=240,
    shell:
        "eyrie filter_prompts --threads {threads} --log {log}"
