"""Tables without a screen: rows, filters, columns, layouts, trees."""
