"""A real month of a real shop, played through a running Stockward: `make month FILE=online-retail-2010-12.csv.gz`.

FILE is a month of the data set Online Retail (UCI Machine Learning Repository, D. Chen, CC BY 4.0) as gzipped CSV with
the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country.

month.py    reads the file: sales, cancellations, and rows that are neither, each with its reason
replay.py   plays it through the services, as staff
count.py    counts the same straight from the file
"""
