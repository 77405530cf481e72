"""The demo: a small target model and sample prompts, both built from one seeded text generator."""
