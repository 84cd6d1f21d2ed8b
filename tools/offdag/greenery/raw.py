"""The seven raw tables: their columns and types as an upstream system lands them in CSV files."""

from __future__ import annotations

from collections.abc import Mapping

# Timestamps are UTC without a zone. Types are DuckDB's.
TABLES: Mapping[str, Mapping[str, str]] = {
    "users": {
        "user_id": "varchar",
        "first_name": "varchar",
        "last_name": "varchar",
        "email": "varchar",
        "phone_number": "varchar",
        "created_at": "timestamp",
        "updated_at": "timestamp",
        "address_id": "varchar",
    },
    "addresses": {
        "address_id": "varchar",
        "address": "varchar",
        "zipcode": "integer",
        "state": "varchar",
        "country": "varchar",
    },
    "orders": {
        "order_id": "varchar",
        "user_id": "varchar",
        "promo_id": "varchar",
        "address_id": "varchar",
        "created_at": "timestamp",
        "order_cost": "decimal(18, 2)",
        "shipping_cost": "decimal(18, 2)",
        "order_total": "decimal(18, 2)",
        "tracking_id": "varchar",
        "shipping_service": "varchar",
        "estimated_delivery_at": "timestamp",
        "delivered_at": "timestamp",
        "status": "varchar",
    },
    "order_items": {"order_id": "varchar", "product_id": "varchar", "quantity": "integer"},
    "products": {
        "product_id": "varchar",
        "name": "varchar",
        "price": "decimal(18, 2)",
        "inventory": "integer",
        "counted_at": "timestamp",
    },
    "promos": {"promo_id": "varchar", "discount": "decimal(18, 2)", "status": "varchar"},
    "events": {
        "event_id": "varchar",
        "session_id": "varchar",
        "user_id": "varchar",
        "page_url": "varchar",
        "created_at": "timestamp",
        "event_type": "varchar",
        "order_id": "varchar",
        "product_id": "varchar",
    },
}

# Files of other systems may lack these; the loader then takes the time of loading, with a remark.
OPTIONAL_COLUMNS: Mapping[str, tuple[str, ...]] = {"products": ("counted_at",)}
