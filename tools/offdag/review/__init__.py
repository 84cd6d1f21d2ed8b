"""What a reviewer of a dbt change gets: production's state for slim builds, the data diff, the impact by column, and one summary."""
