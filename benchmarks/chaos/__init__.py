"""What clients lose while every process of a deployment is killed again and again."""
