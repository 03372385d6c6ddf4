"""A real month of a real shop, played through a running Stockward: `make month FILE=online-retail-2010-12.csv.gz`.

FILE is a month of the data set Online Retail (UCI Machine Learning Repository, D. Chen, CC BY 4.0) as gzipped CSV with
the columns InvoiceNo, StockCode, Description, Quantity, InvoiceDate, UnitPrice, CustomerID, Country.

month.py    reads the file: sales, cancellations, and rows that are neither, each with its reason
replay.py   plays it through the services, as staff
count.py    counts the same straight from the file

Both follow the same rules, each in its own way. Blanks around a cell and the case of codes and invoice numbers do not
matter. A row counts when all of these hold, and is otherwise left out and reported with its reason:

* It has as many cells as the header.
* Its code names goods: it begins with five digits, with DCGS or with GIFT_, or it is PADS. Other codes stand for
  postage, fees, discounts, commissions and corrections.
* Its invoice number is digits (a sale), or C and digits (a cancellation).
* Its quantity is a whole number: above zero in a sale, below zero in a cancellation.
* Its price is above zero and a whole number of pence.

An invoice of more than 1,000 such rows is as many orders of up to 1,000 lines as it takes.
"""
