"""Where results are kept: the database seam, its adapters, the migrations, and the history itself."""
