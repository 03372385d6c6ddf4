"""InventoryService."""
