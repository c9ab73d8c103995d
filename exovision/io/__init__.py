"""Movies, labels and sample sheets in; tables, labels, ROIs, tracks and provenance out."""
